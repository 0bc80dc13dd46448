// Medians and percentiles, and numbers as people read them.

/** Nearest-rank percentile, p in 0…1; 0 of an empty list. */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] as number
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)
export const maximum = (values: readonly number[]): number => (values.length === 0 ? 0 : Math.max(...values))

/** One decimal, since a tick of the measuring is coarser anyway. */
export const rounded = (value: number): number => Math.round(value * 10) / 10

export const milliseconds = (value: number): string => `${value < 10 ? rounded(value) : Math.round(value)} ms`
export const seconds = (valueMs: number): string => `${(valueMs / 1000).toFixed(1)} s`
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** The median of each key over several records; a key that not all have is taken over those that do. */
export function mediansByKey(records: readonly Record<string, number>[]): Record<string, number> {
  const keys = [...new Set(records.flatMap((record) => Object.keys(record)))].sort()
  return Object.fromEntries(
    keys.map((key) => [key, rounded(median(records.map((record) => record[key]).filter((v) => v !== undefined)))]),
  )
}

/** Of those figures that there are, two decimals; null where one of the two could not be measured. */
export function ratiosOf(
  figures: Record<string, number | null>,
  ratios: Record<string, readonly [of: string, by: string]>,
): Record<string, number | null> {
  const both = Object.entries(ratios).filter(([, [of, by]]) => of in figures && by in figures)
  return Object.fromEntries(
    both.map(([key, [of, by]]) => {
      const [value, unit] = [figures[of] ?? null, figures[by] ?? null]
      return [key, value === null || unit === null || unit === 0 ? null : Math.round((value * 100) / unit) / 100]
    }),
  )
}

/** A migration's figures without the moments in time, whose medians say nothing. */
export const onlyDurations = (figures: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(figures).filter(([key]) => !/At(Ns|Ms)$/.test(key)))
