// The border to JavaScript: plain numbers, strings and buffers, no decisions. See packages/raft/src/native-raft.ts for the types.
//
// One RaftMember per log. Events cross by a thread-safe function that is called once per batch, not once per event. When the
// environment ends without close(), the clean-up hook stops the raft thread first.

#include <napi.h>

#include <atomic>
#include <memory>

#include "address.h"
#include "raft-thread.h"

namespace {

/** Events handed to JavaScript in one call, so that a long replay leaves its loop room for timers and sockets. */
constexpr size_t kEventsPerCall = 1024;

const char *nameOf(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::started: return "started";
    case Event::Kind::startFailed: return "startFailed";
    case Event::Kind::entry: return "entry";
    case Event::Kind::restore: return "restore";
    case Event::Kind::status: return "status";
    case Event::Kind::refused: return "refused";
    case Event::Kind::barrier: return "barrier";
    case Event::Kind::broken: return "broken";
    case Event::Kind::closed: return "closed";
  }
  return "";
}

Napi::Object describe(Napi::Env env, const Event &event) {
  auto number = [&](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", nameOf(event.kind));
  switch (event.kind) {
    case Event::Kind::entry:
    case Event::Kind::restore:
      object.Set("index", number(event.index));
      object.Set("sequence", number(event.sequence));
      object.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, event.bytes->data(), event.bytes->size()));
      break;
    case Event::Kind::status:
      object.Set("role", event.text);
      object.Set("term", number(event.index));
      object.Set("leaderId", number(event.leaderId));
      object.Set("leaderAddress", event.leaderAddress);
      break;
    case Event::Kind::barrier:
    case Event::Kind::refused:
      object.Set("sequence", number(event.sequence));
      object.Set("reason", event.text);
      break;
    default:
      object.Set("reason", event.text);
  }
  return object;
}

uint64_t numberOf(const Napi::Value &value) { return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value()); }

Blob bytesOf(const Napi::Value &value) {
  auto array = value.As<Napi::Uint8Array>();
  return makeBlob(array.Data(), array.ByteLength());
}

class RaftMember : public Napi::ObjectWrap<RaftMember> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "RaftMember",
                       {InstanceMethod<&RaftMember::start>("start"), InstanceMethod<&RaftMember::propose>("propose"),
                        InstanceMethod<&RaftMember::barrier>("barrier"), InstanceMethod<&RaftMember::stateImage>("stateImage"),
                        InstanceMethod<&RaftMember::close>("close")});
  }

  explicit RaftMember(const Napi::CallbackInfo &info) : Napi::ObjectWrap<RaftMember>(info) {
    auto given = info[0].As<Napi::Object>();
    options_.directory = given.Get("directory").As<Napi::String>().Utf8Value();
    options_.id = numberOf(given.Get("id"));
    options_.address = given.Get("address").As<Napi::String>().Utf8Value();
    auto members = given.Get("members").As<Napi::Array>();
    for (uint32_t i = 0; i < members.Length(); i++) {
      auto member = members.Get(i).As<Napi::Object>();
      options_.members.push_back({numberOf(member.Get("id")), member.Get("address").As<Napi::String>().Utf8Value()});
    }
    Blob token = bytesOf(given.Get("token"));
    if (token->size() == kTokenSize) std::copy(token->begin(), token->end(), options_.token.begin());
    options_.electionTimeoutMs = static_cast<unsigned>(numberOf(given.Get("electionTimeoutMs")));
    options_.heartbeatMs = static_cast<unsigned>(numberOf(given.Get("heartbeatMs")));
    options_.snapshotThreshold = static_cast<unsigned>(numberOf(given.Get("snapshotThreshold")));
    options_.snapshotTrailing = static_cast<unsigned>(numberOf(given.Get("snapshotTrailing")));
    for (const Member &member : options_.members) {
      sockaddr_storage parsed;
      if (member.address.size() <= kMaxAddress && parseAddress(member.address, &parsed)) continue;
      Napi::TypeError::New(info.Env(), "not a numeric address and port: " + member.address).ThrowAsJavaScriptException();
      return;
    }
    onEvents_ = Napi::Persistent(info[1].As<Napi::Function>());
  }

 private:
  Napi::Value start(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    if (thread_) return env.Undefined();
    // This object lives until the last queued call is done, which is when the function is finalised.
    events_ = Napi::ThreadSafeFunction::New(env, onEvents_.Value(), "drover-raft", 0, 1, [this](Napi::Env) { Unref(); });
    thread_ = std::make_unique<RaftThread>(options_, [this] { wake(); });
    // After the thread-safe function, so that its own clean-up comes after this one.
    napi_add_env_cleanup_hook(env, &RaftMember::atExit, this);
    Ref();
    thread_->start();
    return env.Undefined();
  }

  Napi::Value propose(const Napi::CallbackInfo &info) {
    return submit(info, {Command::Kind::propose, numberOf(info[0]), bytesOf(info[1])});
  }

  Napi::Value barrier(const Napi::CallbackInfo &info) { return submit(info, {Command::Kind::barrier, numberOf(info[0]), nullptr}); }

  Napi::Value stateImage(const Napi::CallbackInfo &info) {
    return submit(info, {Command::Kind::image, numberOf(info[0]), bytesOf(info[1])});
  }

  Napi::Value close(const Napi::CallbackInfo &info) { return submit(info, {Command::Kind::close, 1, nullptr}); }

  Napi::Value submit(const Napi::CallbackInfo &info, Command command) {
    return Napi::Boolean::New(info.Env(), thread_ && thread_->submit(std::move(command)));
  }

  /** Called in the raft thread. */
  void wake() {
    if (scheduled_.exchange(true)) return;
    events_.NonBlockingCall([this](Napi::Env env, Napi::Function callback) { deliver(env, callback); });
  }

  void deliver(Napi::Env env, Napi::Function callback) {
    if (!thread_) return;
    scheduled_ = false;
    bool more = false;
    const std::vector<Event> events = thread_->takeEvents(kEventsPerCall, &more);
    if (more) wake();
    if (events.empty()) return;
    const bool closed = events.back().kind == Event::Kind::closed;
    Napi::Array batch = Napi::Array::New(env, events.size());
    for (size_t i = 0; i < events.size(); i++) batch.Set(static_cast<uint32_t>(i), describe(env, events[i]));
    if (closed) release(env);
    callback.Call({batch});
  }

  void release(Napi::Env env) {
    thread_->join();
    thread_.reset();
    napi_remove_env_cleanup_hook(env, &RaftMember::atExit, this);
    events_.Release();
  }

  static void atExit(void *data) {
    auto self = static_cast<RaftMember *>(data);
    if (!self->thread_) return;
    self->thread_->submit({Command::Kind::close, 0, nullptr});
    self->thread_->join();
    self->thread_.reset();
  }

  RaftOptions options_;
  Napi::FunctionReference onEvents_;
  Napi::ThreadSafeFunction events_;
  std::unique_ptr<RaftThread> thread_;
  std::atomic<bool> scheduled_{false};
};

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("RaftMember", RaftMember::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(drover_raft, initialise)
