// The gRPC service of an agent. Messages are frames (frames.ts), so there is no schema to compile: a bidirectional exec
// stream whose first message is an ExecRequest, and a logs stream. Metadata `authorization: Bearer <cluster secret>`.

/** First and only message of a logs request. */
export interface LogsRequest {
  /** Container id. */
  container: string
  follow: boolean
  /** Start with the last this many bytes; null: from the beginning. */
  tailBytes: number | null
  /** Start there instead. */
  offset?: number
}

const bytes = { serialize: (message: Buffer) => message, deserialize: (message: Buffer) => message }

/** For grpc-js: `server.addService(agentService, …)` and `makeGenericClientConstructor(agentService, 'Agent')`. */
export const agentService = {
  exec: {
    path: '/drover.Agent/Exec',
    requestStream: true,
    responseStream: true,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  },
  /** One InsideCall (inside.ts), one answer: a json frame with the result, or an error frame. */
  inside: {
    path: '/drover.Agent/Inside',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  },
  /** Bytes in bulk (bulk.ts): one piece in a json frame, one answer in another; or an error frame. */
  bulk: {
    path: '/drover.Agent/Bulk',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  },
  logs: {
    path: '/drover.Agent/Logs',
    requestStream: false,
    responseStream: true,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  },
} as const
