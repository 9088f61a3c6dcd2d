# Installs the Node packages if those of this lockfile are not there already.
if(EXISTS ${FOLDER}/node_modules/.package-lock.json AND
   NOT ${FOLDER}/package-lock.json IS_NEWER_THAN ${FOLDER}/node_modules/.package-lock.json)
  return()
endif()
execute_process(COMMAND ${NPM} ci --no-audit --no-fund --loglevel=error
                WORKING_DIRECTORY ${FOLDER} COMMAND_ERROR_IS_FATAL ANY)
