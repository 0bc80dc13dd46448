// Small eBPF programs, put together here and loaded without a compiler. See bpf(2) and the kernel's bpf/standardization.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <map>
#include <vector>

#include "error.h"
#include "unique_fd.h"

namespace drover {

class BpfProgram {
 public:
  void add(uint8_t code, uint8_t destination, uint8_t source, int16_t offset, int32_t immediate);
  void copy(uint8_t destination, uint8_t source) { add(BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0); }
  void set(uint8_t destination, int32_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, 0, value); }
  /** A word of what `source` points to. */
  void load(uint8_t destination, uint8_t source, int16_t offset) { add(BPF_LDX | BPF_MEM | BPF_W, destination, source, offset, 0); }
  /** `operation`: BPF_JEQ and its like, of the lower 32 bits. Labels are numbers of the caller's. */
  void jumpIf(uint8_t operation, uint8_t destination, uint32_t value, int label);
  /** The same with what another register has. */
  void jumpIfRegister(uint8_t operation, uint8_t destination, uint8_t source, int label);
  /** As jumpIfRegister, of all 64 bits. */
  void jumpIfSame(uint8_t destination, uint8_t source, int label);
  /** Where a pointer is null: the kernel then knows that it is none elsewhere. */
  void jumpIfNull(uint8_t destination, int label);
  void jump(int label);
  void label(int label) { labels_[label] = instructions_.size(); }
  void loadNumber(uint8_t destination, uint64_t value);
  /** The map behind a descriptor. */
  void loadMap(uint8_t destination, int map);
  /** A helper of the kernel's: arguments from register 1 on, answer in register 0. */
  void call(bpf_func_id helper) { add(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  /** Ends the program with a value. */
  void leave(int32_t value);

  /** Loaded into the kernel, which checks it. */
  Result<UniqueFd> loadAs(bpf_prog_type type, const char* name);
  size_t size() const { return instructions_.size(); }

 private:
  std::vector<bpf_insn> instructions_;
  std::map<int, size_t> labels_;
  /** Where a jump stands → its label. */
  std::map<size_t, int> jumps_;
};

/** bpf(2); −1 and errno when it fails. */
int bpf(bpf_cmd command, bpf_attr& attributes);

}  // namespace drover
