# Run with cmake -P: writes OUT, a C++ file that holds every file below FOLDER. No FOLDER: an empty table.
#   cmake -DFOLDER=… -DOUT=… -DHEADER=room/name.h -DFUNCTION=Name -P embed_files.cmake
set(types
  html text/html js text/javascript css text/css txt text/plain svg image/svg+xml png image/png ico image/x-icon
  json application/json map application/json woff2 font/woff2 webmanifest application/manifest+json)

set(arrays "")
set(rows "")
set(count 0)
if(EXISTS "${FOLDER}")
  file(GLOB_RECURSE files RELATIVE "${FOLDER}" "${FOLDER}/*")
  list(SORT files)
  foreach(file ${files})
    file(READ "${FOLDER}/${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    # Lines, so that compilers and people survive the file.
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    string(REGEX MATCH "[^.]*$" extension "${file}")
    set(type "application/octet-stream")
    list(FIND types "${extension}" at)
    if(NOT at EQUAL -1)
      math(EXPR at "${at} + 1")
      list(GET types ${at} type)
    endif()
    if(type MATCHES "^text/")
      string(APPEND type "; charset=utf-8")
    endif()
    # The last byte keeps an empty file's array legal; it is not counted.
    string(APPEND arrays "constexpr unsigned char kFile${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"/${file}\", Text(kFile${count}, sizeof(kFile${count}) - 1), \"${type}\"},\n")
    math(EXPR count "${count} + 1")
  endforeach()
endif()

file(WRITE "${OUT}" "// Written by cmake/embed_files.cmake.
#include \"${HEADER}\"

#include <string_view>
#include <vector>

namespace fallow {
namespace {

[[maybe_unused]] std::string_view Text(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
${arrays}
}  // namespace

std::span<const api::StaticFile> ${FUNCTION}() {
  static const std::vector<api::StaticFile> files = {
${rows}  };
  return files;
}

}  // namespace fallow
")
