// A question to the controllers without the client's retries: what the first one that answers now says.

/** A follower waits nearly this long for a leader before it refuses. */
const answerDeadlineMs = 4_000

/** null when none gives any answer. */
export async function ask<Resource>(secret: string, endpoints: string[], path: string): Promise<Resource | null> {
  for (const endpoint of endpoints) {
    try {
      const response = await fetch(`${endpoint}${path}`, {
        headers: { authorization: `Bearer ${secret}` },
        signal: AbortSignal.timeout(answerDeadlineMs),
      })
      if (response.ok) return (await response.json()) as Resource
    } catch {}
  }
  return null
}
