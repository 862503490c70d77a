# What is compiled of llama.cpp, and how: the one list of options, for `make setup` and the image.
#
# CMake reads this after every `project()` of llama-cpp-python (CMAKE_PROJECT_INCLUDE). A -D in
# CMAKE_ARGS goes before what stands here, except for FORCE.

# Only libllama and ggml are loaded. llama-cpp-python forces llama-common on, which tools use: most
# of the compilation. libmtmd reads images.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
set(LLAVA_BUILD OFF CACHE BOOL "")

# Each library once, where llama_cpp looks for it; otherwise under three names in two folders.
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)
set(CMAKE_INSTALL_BINDIR llama_cpp/lib CACHE PATH "")
set(CMAKE_INSTALL_LIBDIR llama_cpp/lib CACHE PATH "")
set(CMAKE_INSTALL_INCLUDEDIR llama_cpp/include CACHE PATH "")

# Nobody reads warnings here.
set(LLAMA_ALL_WARNINGS OFF CACHE BOOL "")

# libllama prepares what ggml computes. Optimised less and in few large compilations, which read the
# same headers once, it compiles in 57 % of the time. To decode, to draw and to load take as long
# as before, to tokenize a tenth longer (27 instead of 25 ms for 150 kB).
function(compile_in_few_units)
    get_target_property(sources llama SOURCES)
    list(FILTER sources INCLUDE REGEX "^(llama|unicode).*\\.cpp$")
    list(REMOVE_ITEM sources llama-kv-cache-dsv4.cpp)  # shares the name of a function with another
    list(TRANSFORM sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/src/")
    set_source_files_properties(${sources} TARGET_DIRECTORY llama
        PROPERTIES SKIP_UNITY_BUILD_INCLUSION OFF)
endfunction()

if(PROJECT_NAME STREQUAL "llama.cpp")
    cmake_language(DEFER CALL compile_in_few_units)  # when its targets are there
    string(REPLACE "-O3" "-O1" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
elseif(PROJECT_NAME STREQUAL "ggml")
    string(REPLACE "-O1" "-O3" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
endif()
