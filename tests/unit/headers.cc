// The source that tests/CMakeLists.txt needs for its precompiled header.
