// What every FileServer has to do, tried on a directory of a real server.
//
// Each function is one part of the contract; `server` is opened on an empty directory of the test's
// own, and the function leaves it as it likes.
#pragma once

#include "capture/target/server/file_server.h"

namespace dw::test {

// Names: looking, making, renaming, replacing, removing, and what is refused.
void check_server_names(FileServer& server);
// Content: writes in any order, sizes, reading back, cutting, syncing.
void check_server_content(FileServer& server);
// Many pieces on their way, far more than one message can hold, and files open under new names.
void check_server_bulk(FileServer& server);
// A file that is open for reading, several open files, files that are closed with writes on their
// way.
void check_server_handles(FileServer& server);

// What not every server can: a name that is gone takes nothing from a file that is open. Not part
// of the next.
void check_server_nameless_files(FileServer& server);

// All of the above; `server` stays usable.
void check_server_contract(FileServer& server);

}  // namespace dw::test
