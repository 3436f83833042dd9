// SPDX-License-Identifier: MIT
//
// A durable JetStream consumer: prints each message once it is there, and acknowledges it. A copy
// can be told by the id at the front of its `Nats-Msg-Id`.
#include <nats/nats.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <set>
#include <string>
#include <string_view>

namespace {

std::string_view header(natsMsg* message, char const* name) {
    char const* value = nullptr;
    return natsMsgHeader_Get(message, name, &value) == NATS_OK ? value : std::string_view{};
}

}  // namespace

int main(int count, char** words) {
    std::string url{"nats://127.0.0.1:4322"};
    std::string stream{"EVENTS"};
    std::string subject{"order.>"};
    std::string durable{"example"};
    std::size_t wanted = 0;
    CLI::App app{"Prints what the example service publishes"};
    app.add_option("--nats", url, "address of nats-server")
        ->envname("NATS_URL")
        ->capture_default_str();
    app.add_option("--stream", stream, "stream to read")->capture_default_str();
    app.add_option("--subject", subject, "subjects to read")->capture_default_str();
    app.add_option("--durable", durable, "name of the consumer")->capture_default_str();
    app.add_option("--count", wanted, "ends after so many distinct messages; 0: never");
    CLI11_PARSE(app, count, words);

    natsOptions* options = nullptr;
    natsOptions_Create(&options);
    natsOptions_SetURL(options, url.c_str());
    natsOptions_SetMaxReconnect(options, -1);
    natsOptions_SetReconnectWait(options, 200);
    natsConnection* connection = nullptr;
    jsCtx* context = nullptr;
    auto status = natsConnection_Connect(&connection, options);
    if (status == NATS_OK) status = natsConnection_JetStream(&context, connection, nullptr);
    if (status != NATS_OK) {
        std::cerr << "cannot connect to NATS: " << natsStatus_GetText(status) << " (make up)\n";
        return 1;
    }
    natsSubscription* subscription = nullptr;
    jsSubOptions how;
    jsSubOptions_Init(&how);
    how.Stream = stream.c_str();
    bool waiting = false;
    while (js_PullSubscribe(&subscription, context, subject.c_str(), durable.c_str(), nullptr, &how,
                            nullptr) != NATS_OK) {
        if (!waiting) std::cerr << "waiting for the stream " << stream << " (make run)\n";
        waiting = true;
        nats_Sleep(200);
    }
    std::set<std::string, std::less<>> seen;
    while (wanted == 0 || seen.size() < wanted) {
        natsMsgList list{};
        natsSubscription_Fetch(&list, subscription, 100, 500, nullptr);
        for (int i = 0; i < list.Count; ++i) {
            auto* const message = list.Msgs[i];
            auto const id = header(message, "Nats-Msg-Id").substr(0, 36);
            bool const copy = !seen.emplace(id).second;
            std::cout << natsMsg_GetSubject(message) << ' '
                      << std::string_view{natsMsg_GetData(message),
                                          static_cast<std::size_t>(natsMsg_GetDataLength(message))}
                      << ' ' << id << (copy ? " (copy)" : "") << '\n';
            natsMsg_Ack(message, nullptr);
        }
        std::cout << std::flush;
        natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(subscription);
    jsCtx_Destroy(context);
    natsConnection_Destroy(connection);
    natsOptions_Destroy(options);
    return 0;
}
