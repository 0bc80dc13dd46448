// The replays of one trace as a picture (SVG): hosts in use and empty, refusals, overload and more over time, one line per replay; what
// stayed at nothing in all of them is left out.
// No library: four hundred polyline points need none.

import type { Sample } from './measures.ts'

export interface PlotLine {
  label: string
  samples: readonly Sample[]
}

interface Panel {
  title: string
  value: (sample: Sample) => number
}

const allPanels: Panel[] = [
  { title: 'hosts in use (the others are empty)', value: ({ hostsInUse }) => hostsInUse },
  { title: 'refusals so far', value: ({ refusals }) => refusals },
  { title: 'hosts overloaded', value: ({ overloaded }) => overloaded },
  { title: 'fragmentation of free cpu', value: ({ fragmentation }) => fragmentation },
  { title: 'imbalance of loads', value: ({ imbalance }) => imbalance },
  { title: 'moves so far', value: ({ moves }) => moves },
]
/** Okabe and Ito's palette, which colour-blind people can tell apart. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000']
const width = 900
const panelHeight = 170
const margin = { left: 70, right: 20, top: 50, bottom: 40, gap: 40 }

export function plot(title: string, lines: readonly PlotLine[]): string {
  const panels = allPanels.filter(({ value }) => lines.some(({ samples }) => samples.some((at) => value(at) > 0)))
  const height = margin.top + panels.length * (panelHeight + margin.gap) + margin.bottom
  const legend = lines.map(({ label }, index) => {
    const x = margin.left + (index % 4) * 200
    const y = 36 + Math.floor(index / 4) * 14
    const colour = colours[index % colours.length]
    return `<rect x="${x}" y="${y - 7}" width="18" height="3" fill="${colour}"/>${text(x + 24, y, label)}`
  })
  const drawn = panels.map((panel, index) => drawPanel(panel, lines, margin.top + index * (panelHeight + margin.gap)))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="20" font-size="15">${escaped(title)}</text>`,
    ...legend,
    ...drawn,
    '</svg>\n',
  ].join('\n')
}

function drawPanel({ title, value }: Panel, lines: readonly PlotLine[], top: number): string {
  const all = lines.flatMap(({ samples }) => samples)
  const endS = Math.max(1, ...all.map(({ atS }) => atS))
  const most = Math.max(1e-9, ...all.map(value))
  const x = (atS: number) => margin.left + (atS / endS) * (width - margin.left - margin.right)
  const y = (amount: number) => top + margin.gap + panelHeight - 20 - (amount / most) * (panelHeight - 30)
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(most * share).toFixed(1)
    const label = text(margin.left - 8, Number(at) + 4, short(most * share), 'end')
    return `<line x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}" stroke="#ddd"/>${label}`
  })
  const days = Math.max(1, Math.ceil(endS / 86_400 / 10))
  const ticks: string[] = []
  for (let day = 0; day * 86_400 <= endS; day += days) {
    ticks.push(text(x(day * 86_400), y(0) + 16, day === 0 ? 'day 0' : String(day), 'middle'))
  }
  const curves = lines.map(({ samples }, index) => {
    const points = samples.map((sample) => `${x(sample.atS).toFixed(1)},${y(value(sample)).toFixed(1)}`).join(' ')
    return `<polyline fill="none" stroke="${colours[index % colours.length]}" stroke-width="1.3" points="${points}"/>`
  })
  return [`<text x="${margin.left}" y="${top + margin.gap - 8}">${title}</text>`, ...grid, ...ticks, ...curves].join(
    '\n',
  )
}

const text = (x: number, y: number, words: string, anchor = 'start') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="11" fill="#444" text-anchor="${anchor}">${escaped(words)}</text>`

const short = (value: number): string => (value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2)).toString())

const escaped = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
