// SPDX-License-Identifier: MIT
//
// The demo's second stage, apart from the first one so that that needs neither libpq nor nats.c.
#pragma once

namespace demo {

/// Returns the exit status.
int show_on_postgres();

}  // namespace demo
