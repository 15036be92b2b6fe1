import type {Image, Spec} from '../contract/schemas/catalogue.ts'
import type {CatalogueTable} from '../domain/ports.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const imageLayout = layoutOf<Image>({
  table: 'images',
  kind: 'image',
  nameOf: image => image.name,
  columns: {name: image => image.name},
})

const specLayout = layoutOf<Spec>({
  table: 'specs',
  kind: 'spec',
  nameOf: spec => spec.name,
  columns: {name: spec => spec.name},
})

export function imageTable(sql: Sql): CatalogueTable<Image> {
  return catalogueTable(new RecordTable({sql, layout: imageLayout}))
}

export function specTable(sql: Sql): CatalogueTable<Spec> {
  return catalogueTable(new RecordTable({sql, layout: specLayout}))
}

function catalogueTable<T extends Image | Spec>(table: RecordTable<T>): CatalogueTable<T> {
  return {
    insert: entry => table.insert(entry),
    save: entry => table.replace(entry),
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    findByName: name => table.first('WHERE name = ?', [name]),
    list: () => table.many('ORDER BY number'),
    delete: id => table.delete(id),
  }
}
