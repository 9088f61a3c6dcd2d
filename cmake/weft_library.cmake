# One target per folder, file lists by hand, includes from the root of the project.
# Only weft/ passes HEADERS: those are installed, everything else stays inside.
function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;PUBLIC;PRIVATE" ${ARGN})
  add_library(weft_${name} ${ARG_SOURCES})
  add_library(weft::${name} ALIAS weft_${name})
  set_target_properties(weft_${name} PROPERTIES EXPORT_NAME ${name})
  if(ARG_HEADERS)
    target_sources(weft_${name} PUBLIC FILE_SET HEADERS
                   BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  endif()
  target_include_directories(weft_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_compile_features(weft_${name} PUBLIC cxx_std_20)
  target_compile_options(weft_${name} PRIVATE ${WEFT_WARNINGS})
  target_link_libraries(weft_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(ARG_HEADERS)
    install(TARGETS weft_${name} EXPORT weftTargets FILE_SET HEADERS)
  else()
    install(TARGETS weft_${name} EXPORT weftTargets)
  endif()
endfunction()

# One test binary per folder; every TEST in it is one line of CTest's summary.
function(weft_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  target_compile_features(${name}_test PRIVATE cxx_std_20)
  target_compile_options(${name}_test PRIVATE ${WEFT_WARNINGS})
  target_compile_definitions(${name}_test PRIVATE
                             WEFT_VECTORS_DIR="${PROJECT_SOURCE_DIR}/tests/vectors")
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_test PRIVATE ${ARG_LIBRARIES} nlohmann_json::nlohmann_json
                        GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600)
endfunction()
