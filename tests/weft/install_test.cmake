# Installs the library into a folder of its own and builds examples/hello.cc against
# what is there, as a stranger's project would. Nothing but weft/*.h may be among the
# headers.
set(scratch ${BUILD}/install_test)
file(REMOVE_RECURSE ${scratch})
file(MAKE_DIRECTORY ${scratch}/project)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${scratch}/prefix
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE headers RELATIVE ${scratch}/prefix/include ${scratch}/prefix/include/*)
list(FILTER headers EXCLUDE REGEX "^weft/[a-z]+\\.h$")
if(headers)
  message(FATAL_ERROR "installed beside the API: ${headers}")
endif()
file(COPY ${SOURCE}/examples/hello.cc DESTINATION ${scratch}/project)
file(WRITE ${scratch}/project/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
find_package(weft REQUIRED)
add_executable(hello hello.cc)
target_link_libraries(hello PRIVATE weft::weft)
")
execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${scratch}/project
                        -B ${scratch}/build -DCMAKE_PREFIX_PATH=${scratch}/prefix
                        "-DCMAKE_CXX_FLAGS=${FLAGS}"
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${scratch}/build
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${scratch}/build/hello ${scratch}/store
                COMMAND_ERROR_IS_FATAL ANY)
