# Compiler flags in one place: warnings, hardening, sanitizers, and the per-file instruction sets.
include(CheckCCompilerFlag)

add_library(limbeck_flags INTERFACE)
target_compile_options(limbeck_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla
  -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough
  -Werror=implicit -Werror=int-conversion -Werror=incompatible-pointer-types
  -fno-strict-overflow -fno-delete-null-pointer-checks -fno-math-errno)
check_c_compiler_flag(-Wtrampolines HAVE_Wtrampolines) # gcc's: nested functions need such a stack
if(HAVE_Wtrampolines)
  target_compile_options(limbeck_flags INTERFACE -Wtrampolines)
endif()
if(LIMBECK_WERROR)
  target_compile_options(limbeck_flags INTERFACE -Werror)
endif()

if(LIMBECK_FUZZ) # libFuzzer steers by the coverage of the library; the targets link the engine
  target_compile_options(limbeck_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(LIMBECK_SANITIZE)
  target_compile_options(limbeck_flags INTERFACE -fsanitize=${LIMBECK_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(limbeck_flags INTERFACE -fsanitize=${LIMBECK_SANITIZE})
elseif(LIMBECK_COVERAGE)
  target_compile_options(limbeck_flags INTERFACE --coverage)
  target_link_options(limbeck_flags INTERFACE --coverage)
else()
  # Hardening (OpenSSF guide; tests/abi/test_hardening.sh looks for its traces); kept out of sanitizer builds, where it hides bugs.
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
          -mbranch-protection=standard -fstrict-flex-arrays=3 -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
      target_compile_options(limbeck_flags INTERFACE ${flag})
    endif()
  endforeach()
  target_compile_options(limbeck_flags INTERFACE
    $<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
  target_link_options(limbeck_flags INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()

# Kernels: -O3 for all of src/kernels; files that end in _avx2 or _avx512 get their own instruction
# set. Nothing else does: the rest of the program must run on any x86-64 (and any other CPU).
function(limbeck_isa_flags)
  foreach(source ${ARGN})
    set(flags "")
    if(source MATCHES "/src/base/random.c$") # the same numbers on every machine
      list(APPEND flags -ffp-contract=off)
    endif()
    if(source MATCHES "/src/kernels/")
      list(APPEND flags -ffp-contract=off) # sums and products are fused where the code says so only
      if(HAVE_ftrivial_auto_var_init_zero) # tiles of sums in registers would be written to memory
        list(APPEND flags -ftrivial-auto-var-init=uninitialized)
      endif()
      if(LIMBECK_SANITIZE) # optimising instrumented vector code takes minutes
        list(APPEND flags -O1)
        if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # GCC 12 misaligns 64-byte vectors in its fake stack
          list(APPEND flags --param=asan-use-after-return=0) # (gcc.gnu.org/PR110027)
        endif()
      elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        list(APPEND flags -O3)
      endif()
    endif()
    if(source MATCHES "_avx2(vnni)?[.]c$")
      list(APPEND flags -mavx2 -mfma -mf16c)
      if(source MATCHES "vnni[.]c$") # 256-bit vectors with the dot products of AVX-512
        list(APPEND flags -mavx512vl -mavx512vnni)
      endif()
    elseif(source MATCHES "_avx512(vnni|amx)?[.]c$")
      list(APPEND flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c)
      if(source MATCHES "vnni[.]c$")
        list(APPEND flags -mavx512vnni)
      elseif(source MATCHES "amx[.]c$")
        list(APPEND flags -mamx-tile -mamx-int8)
      endif()
    endif()
    if(flags)
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${flags}")
    endif()
  endforeach()
endfunction()
