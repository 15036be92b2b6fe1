// All commands by their ids, as oclif's tools ask for them (`oclif.commands` in package.json).
const {ids, command} = require('./load.js').load('light', 'oclif')

exports.commands = Object.fromEntries(ids.map(id => [id, command(id)]))
