// How a new host joins: an operator has a token made for it, which the host shows once, over TLS, to a controller that holds the
// cluster's authority. What the controller answers is all that the host needs. docs/security.md says what each part is for.

import { type Static, Type } from '@drover/schema'
import { Nullable } from './nullable.ts'
import { Name } from './resources.ts'

/** A token without a wish lives so long; none lives longer than the most. */
export const usualTokenLifeMs = 3_600_000
export const mostTokenLifeMs = 30 * 24 * 3_600_000

export const HostTokenRequest = Type.Object(
  {
    lifeMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: mostTokenLifeMs, description: 'default: one hour' })),
    /** For a host that has joined already: its machine was made anew, or its certificate is about to end. */
    again: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type HostTokenRequest = Static<typeof HostTokenRequest>

/** A token as it is listed: never its secret. */
export const HostToken = Type.Object({
  host: Name,
  state: Type.Union([Type.Literal('open'), Type.Literal('used'), Type.Literal('expired')]),
  createdAtMs: Type.Integer(),
  expiresAtMs: Type.Integer(),
  usedAtMs: Nullable(Type.Integer()),
  /** Where it was used from. */
  usedBy: Nullable(Type.String()),
})
export type HostToken = Static<typeof HostToken>

/** `token` is one word; it is nowhere else, and can't be asked for again. */
export const HostTokenMade = Type.Object({ host: Name, token: Type.String(), expiresAtMs: Type.Integer() })
export type HostTokenMade = Static<typeof HostTokenMade>

/** What a new host sends: the secret of its token, and a request (PKCS #10, PEM) to certify the key that it keeps. */
export const JoinRequest = Type.Object(
  {
    host: Name,
    secret: Type.String({ minLength: 16, maxLength: 128 }),
    /** Where other hosts are to reach it: IPv4 or IPv6. */
    address: Type.String({ minLength: 2, maxLength: 64 }),
    certificateRequest: Type.String({ maxLength: 16_384 }),
    version: Type.String({ maxLength: 64 }),
    protocolVersion: Type.Integer(),
  },
  { additionalProperties: false },
)
export type JoinRequest = Static<typeof JoinRequest>

export const JoinAnswer = Type.Object({
  cluster: Name,
  host: Name,
  /** PEM: the host's certificate, and that of the authority. */
  certificate: Type.String(),
  authority: Type.String(),
  secret: Type.String(),
  natsServers: Type.Array(Type.String(), { minItems: 1 }),
  /** Of the API. */
  endpoints: Type.Array(Type.String(), { minItems: 1 }),
  containerNetwork: Type.String(),
  containerNetwork6: Nullable(Type.String()),
  gateway: Nullable(Type.String()),
})
export type JoinAnswer = Static<typeof JoinAnswer>
