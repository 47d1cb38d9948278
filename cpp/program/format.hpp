// The file format of a program, version 1. All numbers are little-endian and without padding:
//
//   8 bytes   the letters "kgprog" and two bytes of version, 1 0
//   7 x u32   counts: inputs, parameters, nodes, terms, outputs, recorded ops, dimensions of the outputs
//   per node  u8 length and name of its operation (codes.hpp, ops.def, reduced_ops.def), u32 a, u32 b, f64 c
//   per term  u32 a, u32 b           (b = 0xffffffff: a alone)
//   per output u32 node
//   per recorded op  u8 length, name, u32 how many of it the recorded graph had
//   per dimension    u32 extent       (their product is the number of outputs)
//   per parameter    f64 data
//   u64       FNV-1a hash of everything before
//
// Operations are written by name, so that a file outlives a new row in the op table. Reading checks every length
// before it reads and every index through validate(): whatever the bytes, the outcome is a graph or an exception.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph.hpp"

namespace kilograd::program {

// What a file holds.
struct Saved {
    Graph graph;
    std::vector<std::uint32_t> shape;  // that the outputs are to be seen in; its product is their number
    std::vector<double> parameters;    // their data
};

// A versioned binary form, and back; throws std::invalid_argument for what is not one.
std::string serialise(const Saved& saved);
Saved deserialise(const char* bytes, std::size_t size);

}  // namespace kilograd::program
