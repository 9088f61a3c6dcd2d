# Runs typing in a fresh store and checks its output.
file(REMOVE_RECURSE ${STORE})
execute_process(COMMAND ${PROGRAM} ${STORE} OUTPUT_VARIABLE output
                COMMAND_ERROR_IS_FATAL ANY)
set(expected "Dear Ada and Cleo,\ncome for tea.\nyours, Bob\n3 cups\n")
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "typing printed: ${output}")
endif()
