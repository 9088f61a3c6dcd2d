# Runs hello in a fresh store and checks its output.
file(REMOVE_RECURSE ${STORE})
execute_process(COMMAND ${PROGRAM} ${STORE} OUTPUT_VARIABLE output
                COMMAND_ERROR_IS_FATAL ANY)
set(expected "^todo/1 = milk\ntodo/2 = bread\nothers join with weft://[a-z0-9]+")
if(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "hello printed: ${output}")
endif()
