# oneDNN without its own CMake package: that one insists on OpenCL's headers and links OpenCL into
# us, for a GPU back end we do not use. Defines the target Limbeck::oneDNN.
find_path(ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl.h)
find_library(ONEDNN_LIBRARY dnnl)
if(NOT ONEDNN_INCLUDE_DIR OR NOT ONEDNN_LIBRARY)
  message(FATAL_ERROR "oneDNN was not found: install libdnnl-dev, or add its prefix to "
    "CMAKE_PREFIX_PATH (headers: ${ONEDNN_INCLUDE_DIR}, library: ${ONEDNN_LIBRARY})")
endif()

file(STRINGS ${ONEDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h ONEDNN_VERSION
  REGEX "#define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
list(TRANSFORM ONEDNN_VERSION REPLACE "[^0-9]+" "")
list(JOIN ONEDNN_VERSION . ONEDNN_VERSION)
if(ONEDNN_VERSION VERSION_LESS 2.6)
  message(FATAL_ERROR "oneDNN: want 2.6 or newer, found '${ONEDNN_VERSION}' in ${ONEDNN_INCLUDE_DIR}")
endif()

add_library(Limbeck::oneDNN INTERFACE IMPORTED)
target_include_directories(Limbeck::oneDNN INTERFACE ${ONEDNN_INCLUDE_DIR})
target_link_libraries(Limbeck::oneDNN INTERFACE ${ONEDNN_LIBRARY})
