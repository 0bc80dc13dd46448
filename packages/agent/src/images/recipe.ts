// An image recipe: fills an empty directory with a root file system and says how its init is called. The builder packs, names and
// keeps what it made.

import { DroverError } from '@drover/protocol'
import { busyboxRecipe } from './recipe-busybox.ts'
import { debianRecipe } from './recipe-debian.ts'

export interface Recipe {
  init: string[]
  /** root: every file is root's, so that a build without root gives the same image. */
  owners: 'kept' | 'root'
  fill(rootfs: string, progress: (message: string) => void, signal: AbortSignal): Promise<void>
}

const recipes: Record<string, Recipe> = { busybox: busyboxRecipe, debian: debianRecipe }

export function recipeOf(name: string): Recipe {
  const recipe = Object.hasOwn(recipes, name) ? recipes[name] : undefined
  if (!recipe) {
    throw new DroverError(
      'BAD_REQUEST',
      `build image: recipe ${name} is unknown; there are ${Object.keys(recipes).join(', ')}`,
    )
  }
  return recipe
}
