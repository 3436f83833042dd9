// SPDX-License-Identifier: MIT
//
// Where the installed header would be: the source tree has it elsewhere.
#pragma once

#include "../../src/status.h"
