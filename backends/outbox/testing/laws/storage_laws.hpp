// SPDX-License-Identifier: MIT
//
// All laws of a storage. Include it after `struct model`, see storage_case.hpp.
#pragma once

#include "outbox/testing/laws/storage_leasing_laws.hpp"
#include "outbox/testing/laws/storage_operating_laws.hpp"
#include "outbox/testing/laws/storage_producing_laws.hpp"
#include "outbox/testing/laws/storage_random_laws.hpp"
#include "outbox/testing/laws/storage_settling_laws.hpp"
