// Where the page's files are. They need no build step: the controller serves the folder as it is.

import { fileURLToPath } from 'node:url'

export const publicDirectory = fileURLToPath(new URL('../public/', import.meta.url))
