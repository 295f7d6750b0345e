// A table of items: sticky head, sticky row numbers, cells that say what kind of value they hold. Text only: nothing is read as HTML.
export default {
  template: `
    <div class="tr-table" role="region" tabindex="0" :aria-label="label">
      <table v-if="columns.length">
        <thead><tr>
          <th class="tr-table__no" scope="col"><span class="tr-sr">#</span></th>
          <th v-for="c in columns" :key="c.path" scope="col" :class="{'tr-table__right': c.kind === 'number'}" :title="c.path" @click="$emit('pick', c.path)">{{ c.label }}<small>{{ c.kind }}</small></th>
          <th class="tr-table__rest" aria-hidden="true"></th>
        </tr></thead>
        <tbody>
          <tr v-for="(row, i) in rows" :key="start + i" :class="{'tr-table__row--on': start + i === chosen}" @click="$emit('choose', start + i)">
            <td class="tr-table__no">{{ start + i + 1 }}</td>
            <td v-for="(cell, j) in row" :key="j" :class="['tr-v', 'tr-v--' + cell[1], {'tr-v--traced': traced && cell[1] !== 'none'}]" :title="cell[3] || cell[0]" @click="traced && cell[1] !== 'none' && $emit('trace', [start + i, j])">
              <a v-if="cell[2]" :href="cell[2]" download @click.stop><span class="material-icons-outlined" aria-hidden="true">file_download</span>{{ cell[0] }}</a>
              <template v-else>{{ cell[0] }}</template>
            </td>
            <td class="tr-table__rest" aria-hidden="true"></td>
          </tr>
        </tbody>
      </table>
    </div>`,
  props: { columns: Array, rows: Array, start: Number, chosen: Number, label: String, traced: Boolean },
  emits: ["pick", "choose", "trace"],
};
