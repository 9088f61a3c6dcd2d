# What find_package(weft) reads: the packages that the archives were built with, and the
# archives.
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/weftTargets.cmake)
