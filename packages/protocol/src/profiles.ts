// Profiles: named sets of settings that containers share. A container's spec is what its profiles say, the later ones winning, and then
// what was said of it alone; a profile that changes reaches its containers.

import { type Static, Type } from '@drover/schema'
import { SetRequest } from './limits.ts'
import { namePattern } from './names.ts'
import { Scheduling } from './scheduling.ts'

const Text = Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Type.String({ maxLength: 32_768 }), {
  additionalProperties: false,
  maxProperties: 1_000,
})

const { profiles: _profiles, scheduling: _scheduling, ...settable } = SetRequest.properties

/** As a set, and what only a launch may say: that counts for containers launched from then on. null: taken away again. */
export const ProfileSettings = Type.Object(
  {
    ...settable,
    scheduling: Type.Optional(Scheduling),
    environment: Type.Optional(Text),
    labels: Type.Optional(Text),
  },
  { additionalProperties: false },
)
export type ProfileSettings = Static<typeof ProfileSettings>

const Name = Type.String({ pattern: namePattern, description: 'a DNS label' })
const Description = Type.String({ maxLength: 1024 })
export const maxProfiles = 1_000
export const Profile = Type.Object({
  name: Name,
  description: Description,
  settings: ProfileSettings,
  revision: Type.Integer({ description: 'log index of its last change' }),
})
export type Profile = Static<typeof Profile>

/** What is not named stays. */
export const ProfileRequest = Type.Object(
  {
    description: Type.Optional(Description),
    settings: Type.Optional(ProfileSettings),
    replace: Type.Optional(Type.Boolean({ description: 'the settings are all that it has from now on' })),
    ifRevision: Type.Optional(Type.Integer({ description: 'only if nobody has changed it since' })),
  },
  { additionalProperties: false },
)
export type ProfileRequest = Static<typeof ProfileRequest>
