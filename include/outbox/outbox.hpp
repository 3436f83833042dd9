// SPDX-License-Identifier: MIT
//
// All that a producer needs beside the storage and the broker that it chose.
#pragma once

#include "outbox/basic_outbox.hpp"
#include "outbox/logging.hpp"
