# dumpwright_prefix(TRIPLE OUT): builds whatever is missing of the prefix of TRIPLE
# and sets OUT to its folder. Once per configure run; a later call is free.
function(dumpwright_prefix triple out)
  get_property(prefix GLOBAL PROPERTY DUMPWRIGHT_PREFIX_${triple})
  if(NOT prefix)
    execute_process(
      COMMAND "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../build" --triple ${triple}
      OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE
      RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "toolchain/build --triple ${triple} failed; its messages are above")
    endif()
    set_property(GLOBAL PROPERTY DUMPWRIGHT_PREFIX_${triple} "${prefix}")
  endif()
  set(${out} "${prefix}" PARENT_SCOPE)
endfunction()
