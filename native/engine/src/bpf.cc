// See bpf.h.
#include "bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace drover {

int bpf(bpf_cmd command, bpf_attr& attributes) { return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes)); }

void BpfProgram::add(uint8_t code, uint8_t destination, uint8_t source, int16_t offset, int32_t immediate) {
  bpf_insn instruction = {};
  instruction.code = code;
  instruction.dst_reg = destination & 15;
  instruction.src_reg = source & 15;
  instruction.off = offset;
  instruction.imm = immediate;
  instructions_.push_back(instruction);
}

void BpfProgram::jumpIf(uint8_t operation, uint8_t destination, uint32_t value, int label) {
  jumps_[instructions_.size()] = label;
  add(static_cast<uint8_t>(BPF_JMP32 | operation | BPF_K), destination, 0, 0, static_cast<int32_t>(value));
}

void BpfProgram::jumpIfRegister(uint8_t operation, uint8_t destination, uint8_t source, int label) {
  jumps_[instructions_.size()] = label;
  add(static_cast<uint8_t>(BPF_JMP32 | operation | BPF_X), destination, source, 0, 0);
}

void BpfProgram::jumpIfSame(uint8_t destination, uint8_t source, int label) {
  jumps_[instructions_.size()] = label;
  add(BPF_JMP | BPF_JEQ | BPF_X, destination, source, 0, 0);
}

void BpfProgram::loadNumber(uint8_t destination, uint64_t value) {
  add(BPF_LD | BPF_DW | BPF_IMM, destination, 0, 0, static_cast<int32_t>(value));
  add(0, 0, 0, 0, static_cast<int32_t>(value >> 32));
}

void BpfProgram::jumpIfNull(uint8_t destination, int label) {
  jumps_[instructions_.size()] = label;
  add(BPF_JMP | BPF_JEQ | BPF_K, destination, 0, 0, 0);
}

void BpfProgram::loadMap(uint8_t destination, int map) {
  add(BPF_LD | BPF_DW | BPF_IMM, destination, BPF_PSEUDO_MAP_FD, 0, map);
  add(0, 0, 0, 0, 0);
}

void BpfProgram::jump(int label) {
  jumps_[instructions_.size()] = label;
  add(BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void BpfProgram::leave(int32_t value) {
  set(BPF_REG_0, value);
  add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

Result<UniqueFd> BpfProgram::loadAs(bpf_prog_type type, const char* name) {
  for (const auto& [at, label] : jumps_) instructions_[at].off = static_cast<int16_t>(labels_.at(label) - at - 1);
  bpf_attr attributes = {};
  attributes.prog_type = type;
  attributes.insns = reinterpret_cast<uint64_t>(instructions_.data());
  attributes.insn_cnt = static_cast<uint32_t>(instructions_.size());
  attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
  snprintf(attributes.prog_name, sizeof attributes.prog_name, "%s", name);
  UniqueFd program(bpf(BPF_PROG_LOAD, attributes));
  if (!program.valid()) return errnoError(std::string("load the program ") + name);
  return program;
}

}  // namespace drover
