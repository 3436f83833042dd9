// SPDX-License-Identifier: MIT
//
// Keys and certificates of a test's own, each its own authority, made by the openssl program.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

#include "support/process.hpp"

namespace support {

class certificates {
public:
    /// One for `localhost`; two days long, or over since years.
    void make(std::string const& name) {
        run({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key(name), "-out", file(name)});
    }
    void make_expired(std::string const& name) {
        auto const config = path(name + ".conf");
        std::ofstream{path(name + ".index")} << "";
        std::ofstream{config} << "[ca]\ndefault_ca = one\n[one]\ndatabase = "
                              << path(name + ".index")
                              << "\nnew_certs_dir = " << folder_.path().string()
                              << "\nrand_serial = yes\ndefault_md = sha256\npolicy = any\n"
                                 "copy_extensions = copy\n[any]\ncommonName = supplied\n";
        auto const request = path(name + ".request");
        run({"req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
             key(name), "-out", request});
        run({"ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key(name),
             "-in", request, "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-out",
             file(name)});
    }
    [[nodiscard]] std::string file(std::string const& name) const {
        return path(name + ".pem");
    }
    [[nodiscard]] std::string key(std::string const& name) const {
        return path(name + ".key");
    }

private:
    [[nodiscard]] std::string path(std::string const& name) const {
        return (folder_.path() / name).string();
    }
    void run(std::vector<std::string> words) const {
        words.insert(words.begin(), "openssl");
        child_process openssl{words, path("log")};
        if (openssl.wait() != 0) {
            std::ifstream log{path("log")};
            throw std::runtime_error{std::string{std::istreambuf_iterator<char>{log}, {}}};
        }
    }

    temporary_folder folder_{};
};

}  // namespace support
