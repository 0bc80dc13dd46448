// Images that were made elsewhere: a directory with <image name>.tar, each the layer of a root file system. An image of that name is then
// unpacked from it rather than built, so that a host without a network, or one that must not install packages, can have it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { unpackInto } from './layer.ts'
import type { Recipe } from './recipe.ts'

/** The recipe, or one with its init that takes the ready-made layer of this name. */
export function fromReadyLayer(recipe: Recipe, directory: string | undefined, imageName: string): Recipe {
  const layer = directory === undefined ? null : join(directory, `${imageName}.tar`)
  if (layer === null || !existsSync(layer)) return recipe
  return {
    ...recipe,
    async fill(rootfs, progress) {
      progress(`unpacking ${layer}`)
      await unpackInto(layer, rootfs)
    },
  }
}
