// What a benchmark is: it gets options, reports progress, and gives one number per key.

export interface BenchOptions {
  n: number
  seed: number
  onProgress: (line: string) => void
}

export interface BenchOutcome {
  figures: Record<string, number>
  /** What a person should know to read the figures. */
  notes: string[]
}

export interface Bench {
  summary: string
  defaultN: number
  run: (options: BenchOptions) => Promise<BenchOutcome>
}
