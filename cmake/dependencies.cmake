# Debian 12's packages and nothing else; `./dev build` installs what is missing.
find_package(absl CONFIG REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(FlatBuffers CONFIG REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
add_library(asio::asio INTERFACE IMPORTED)
target_include_directories(asio::asio INTERFACE ${ASIO_INCLUDE_DIR})
# Asio looks for aligned_alloc by a macro that is there only once a header of the
# standard library was included, so that some files would free what others allocated
# otherwise.
target_compile_definitions(asio::asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED
                                                ASIO_HAS_STD_ALIGNED_ALLOC=1)
target_link_libraries(asio::asio INTERFACE Threads::Threads)
