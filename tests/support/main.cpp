// SPDX-License-Identifier: MIT
//
// The runner of every test program, where Catch2 does not bring one.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
