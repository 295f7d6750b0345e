// JSON to read: folding, coloured by kind. Built from text nodes only.
import { h, ref } from "vue";

const kindOf = (v) => (v === null ? "null" : Array.isArray(v) ? "list" : typeof v === "object" ? "object" : typeof v);
const isFile = (v) => v && typeof v === "object" && "$file" in v && v.$href;

const Entry = {
  name: "JsonEntry",
  props: ["value", "label", "depth", "last", "path", "trace"],
  setup(props) {
    const open = ref(props.depth < 2);
    const shown = ref(100);
    return () => {
      const { value, label, depth } = props;
      const kind = kindOf(value);
      const key = label === undefined ? [] : [h("span", { class: "tr-json__key" }, String(label)), h("span", { class: "tr-json__dim" }, ": ")];
      const comma = props.last ? [] : [h("span", { class: "tr-json__dim" }, ",")];
      if (isFile(value)) {
        const text = `${value.name} · ${value.size_text}`;
        return h("div", { class: "tr-json__line" }, [...key, h("a", { href: value.$href, download: "", class: "tr-link" }, text), ...comma]);
      }
      if (kind !== "object" && kind !== "list") {
        return h("div", { class: "tr-json__line" }, [...key, h("span", props.trace ? { class: ["tr-v--" + kind, "tr-v--traced"], onClick: () => props.trace(props.path) } : { class: "tr-v--" + kind }, JSON.stringify(value)), ...comma]);
      }
      const entries = kind === "list" ? value.map((v, i) => [i, v]) : Object.entries(value);
      const [left, right] = kind === "list" ? ["[", "]"] : ["{", "}"];
      if (!entries.length) return h("div", { class: "tr-json__line" }, [...key, h("span", { class: "tr-json__dim" }, left + right), ...comma]);
      const toggle = h(
        "button",
        { class: "tr-json__fold", type: "button", "aria-expanded": open.value, "aria-label": "fold", onClick: () => (open.value = !open.value) },
        open.value ? "▾" : "▸",
      );
      if (!open.value) {
        const what = kind === "list" ? `${left}${entries.length}${right}` : `${left} ${entries.slice(0, 4).map(([k]) => k).join(", ")}${entries.length > 4 ? ", …" : ""} ${right}`;
        return h("div", { class: "tr-json__line" }, [toggle, ...key, h("span", { class: "tr-json__dim tr-json__brief", onClick: () => (open.value = true) }, what), ...comma]);
      }
      const inner = entries
        .slice(0, shown.value)
        .map(([k, v], i) => h(Entry, { key: k, value: v, label: kind === "list" ? undefined : k, depth: depth + 1, last: i === entries.length - 1, path: [...props.path, k], trace: props.trace }));
      if (entries.length > shown.value)
        inner.push(h("button", { class: "tr-link tr-json__more", type: "button", onClick: () => (shown.value += 500) }, `${entries.length - shown.value} more`));
      return h("div", {}, [
        h("div", { class: "tr-json__line" }, [toggle, ...key, h("span", { class: "tr-json__dim" }, left)]),
        h("div", { class: "tr-json__inner" }, inner),
        h("div", { class: "tr-json__line" }, [h("span", { class: "tr-json__dim" }, right), ...comma]),
      ]);
    };
  },
};

export default {
  props: { value: null, label: String, traced: Boolean },
  emits: ["trace"],
  setup: (props, { emit }) => () => h("div", { class: "tr-json", role: "region", tabindex: 0, "aria-label": props.label }, [h(Entry, { value: props.value, depth: 0, last: true, path: [], trace: props.traced ? (path) => emit("trace", path) : null })]),
};
