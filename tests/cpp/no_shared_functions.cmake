# cmake -DNM=nm -DOBJECTS=a.o;b.o -P no_shared_functions.cmake
#
# Fails where two objects define a weak function of the same name: the linker would keep one of them for both, and it
# might be made of instructions that the processor lacks.
set(seen)
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* W [^\n]*" lines "${symbols}")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE ".* W " "" name "${line}")
    if(name IN_LIST seen)
      message(SEND_ERROR "${name} is defined in ${object}, and in another object too")
    endif()
    list(APPEND names ${name})
  endforeach()
  list(APPEND seen ${names})
endforeach()
if(NOT OBJECTS)
  message(FATAL_ERROR "no objects were given")
endif()
