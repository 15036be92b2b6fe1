import type {Recipe, Recipes} from '../task.ts'
import {createBackup, deleteBackup, restoreBackup, verifyBackup} from './backup-recipes.ts'
import {pullImage} from './image-recipes.ts'
import {snapshotInstance} from './instance-recipes.ts'
import {addMember} from './member-recipes.ts'
import {createMounts, removeMount} from './mount-recipes.ts'
import {createPool, destroyPool} from './pool-recipes.ts'
import {repairNode} from './repair-recipes.ts'
import {cloneSite, createSite, destroySite, restoreSite} from './site-recipes.ts'
import {createTemplate} from './template-recipes.ts'
import {upgradeNodes} from './upgrade-recipes.ts'
import {backupVm, restoreVm} from './vm-recipes.ts'

const all = [
  createPool,
  destroyPool,
  createMounts,
  removeMount,
  createSite,
  destroySite,
  restoreSite,
  cloneSite,
  createTemplate,
  pullImage,
  snapshotInstance,
  addMember,
  repairNode,
  upgradeNodes,
  createBackup,
  verifyBackup,
  restoreBackup,
  deleteBackup,
  backupVm,
  restoreVm,
] as unknown as readonly Recipe<never>[]

/** All kinds of tasks by their type. */
export const recipes: Recipes = Object.fromEntries(all.map(recipe => [recipe.type, recipe]))
