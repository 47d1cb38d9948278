// A test harness in a few lines: TEST bodies register themselves, CHECK counts, run_tests() reports.
#pragma once

#include <cstdio>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*body)();
};
inline std::vector<Test> tests;
inline int failures = 0;
struct Register {
    Register(const char* name, void (*body)()) { tests.push_back({name, body}); }
};

inline int run_tests() {
    int passed = 0, failed = 0;
    for (const Test& test : tests) {
        const int before = failures;
        test.body();
        const bool good = failures == before;
        (good ? passed : failed) += 1;
        std::printf("%s %s\n", good ? "ok  " : "FAIL", test.name);
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

}  // namespace check

#define TEST(name)                                       \
    static void name();                                  \
    static check::Register register_##name(#name, name); \
    static void name()

#define CHECK(condition)                                                                \
    do {                                                                                \
        if (!(condition) && ++check::failures <= 20)                                    \
            std::printf("  %s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
    } while (false)

#define CHECK_THROWS(type, expression)                                                         \
    do {                                                                                       \
        bool thrown = false;                                                                   \
        try {                                                                                  \
            expression;                                                                        \
        } catch (const type&) {                                                                \
            thrown = true;                                                                     \
        }                                                                                      \
        if (!thrown && ++check::failures <= 20)                                                \
            std::printf("  %s:%d: %s throws no %s\n", __FILE__, __LINE__, #expression, #type); \
    } while (false)
