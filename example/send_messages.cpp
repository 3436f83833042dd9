// SPDX-License-Identifier: MIT
//
// Sends orders to the service, one after the other, each until it is confirmed.
#include <httplib.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

int main(int count, char** words) {
    std::vector<int> ports{9090};
    int start = 1;
    int many = 100;
    int patience = 60;
    CLI::App app{"Sends `count` orders to the example service"};
    app.add_option("--port", ports, "port of the service; of several, the next one after a failure")
        ->delimiter(',')
        ->capture_default_str();
    app.add_option("--start", start, "number of the first order")->capture_default_str();
    app.add_option("--count", many, "number of orders")->capture_default_str();
    app.add_option("--patience", patience, "seconds to try for one order")->capture_default_str();
    CLI11_PARSE(app, count, words);

    std::size_t at = 0;
    for (int number = start; number < start + many; ++number) {
        auto const body =
            R"({"type": "order.created", "data": {"order_id": )" + std::to_string(number) + "}}";
        auto const give_up = std::chrono::steady_clock::now() + std::chrono::seconds{patience};
        while (true) {
            httplib::Client client{"127.0.0.1", ports[at]};
            auto const answer = client.Post("/create-message", body, "application/json");
            if (answer && answer->status == 201) {
                std::cout << number << ": " << answer->body << std::endl;
                break;
            }
            if (answer && answer->status < 500) {
                std::cerr << number << ": " << answer->status << ' ' << answer->body << '\n';
                return 1;
            }
            if (std::chrono::steady_clock::now() > give_up) {
                std::cerr << number << ": nobody confirmed it\n";
                return 1;
            }
            // It may have been stored all the same: then the order is in the stream twice.
            std::cerr << number << ": not confirmed by port " << ports[at] << ", again\n";
            at = (at + 1) % ports.size();
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }
    return 0;
}
