import type {Migration} from './migration.ts'

/**
 * One row for each GPU that somebody holds: whole (`allocation_id`), or in parts of its memory. The primary key is why
 * no GPU is ever sold twice, and the check why no more of one is sold than there is.
 */
export const partsOfGpus: Migration = {
  version: 4,
  name: 'parts of GPUs',
  statements: ({text, integer}) => [
    `CREATE TABLE held_gpus (node_id ${text} NOT NULL, gpu_index ${integer} NOT NULL,
      allocation_id ${text} REFERENCES allocations (id) ON DELETE CASCADE, total_mib ${integer}, used_mib ${integer},
      PRIMARY KEY (node_id, gpu_index),
      CHECK (CASE WHEN allocation_id IS NULL THEN used_mib >= 0 AND used_mib <= total_mib
        ELSE used_mib IS NULL AND total_mib IS NULL END))`,
    'CREATE INDEX held_gpus_allocation ON held_gpus (allocation_id)',
    `INSERT INTO held_gpus (node_id, gpu_index, allocation_id)
      SELECT node_id, gpu_index, allocation_id FROM allocation_gpus WHERE released_at IS NULL`,
    'DROP TABLE allocation_gpus',
    // Volumes outlive containers and nodes come back: what has to go is remembered until the node says that it is gone.
    `CREATE TABLE volumes (name ${text} NOT NULL, node_id ${text} NOT NULL, claim_id ${text} NOT NULL,
      is_going ${integer} NOT NULL, PRIMARY KEY (name, node_id))`,
    'CREATE INDEX volumes_going ON volumes (node_id) WHERE is_going = 1',
    'CREATE INDEX volumes_claim ON volumes (claim_id)',
  ],
}
