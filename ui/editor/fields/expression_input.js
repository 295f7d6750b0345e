// A field for an expression or a template: coloured while typed, completed from the data at hand, as tall as its text.
// Everything is drawn from text nodes; nothing typed or suggested is read as HTML.
const PART = /("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(\b\d+(?:\.\d+)?\b)|\b(true|false|null|and|or|not|in)\b|\b([A-Za-z_]\w*)(?=\s*\()|\b(item|items|index|nodes|run|workflow|vars)\b|(=>|\?\?|\?\.|[-+*/%<>=!&|?:]+)/g;

function colourExpression(text, out) {
  let last = 0;
  for (const m of text.matchAll(PART)) {
    if (m.index > last) out.push(["", text.slice(last, m.index)]);
    const kind = m[1] ? "string" : m[2] ? "number" : m[3] ? "word" : m[4] ? "call" : m[5] ? "name" : "sign";
    out.push([kind, m[0]]);
    last = m.index + m[0].length;
  }
  if (last < text.length) out.push(["", text.slice(last)]);
}

function colourTemplate(text, out) {
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf("{{", at);
    if (open < 0) break;
    if (open > at) out.push(["", text.slice(at, open)]);
    const close = text.indexOf("}}", open);
    const end = close < 0 ? text.length : close;
    out.push(["brace", "{{"]);
    colourExpression(text.slice(open + 2, end), out);
    if (close >= 0) out.push(["brace", "}}"]);
    at = close < 0 ? text.length : close + 2;
  }
  if (at < text.length) out.push(["", text.slice(at)]);
}

export default {
  template: `
    <div class="tr-expr" :class="{'tr-expr--bad': bad, 'tr-expr--plain': plain, 'tr-expr--open': offers.length}">
      <pre class="tr-expr__paint" aria-hidden="true" ref="paint"><span v-for="(p, i) in parts" :key="i" :class="p[0] && 'tr-x-' + p[0]">{{ p[1] }}</span>{{ "\\n" }}</pre>
      <textarea ref="box" :value="text" :rows="1" :placeholder="placeholder" :aria-label="label" :aria-invalid="bad" :readonly="readonly"
        spellcheck="false" autocomplete="off" autocapitalize="off" wrap="soft"
        @input="typed" @keydown="key" @blur="left" @focus="$emit('focused')" @scroll="scroll" @click="close"></textarea>
      <div v-if="offers.length" class="tr-expr__offers" role="listbox">
        <button v-for="(o, i) in offers" :key="i" type="button" role="option" :aria-selected="i === chosen" tabindex="-1"
          :class="{'tr-expr__offer': true, 'tr-expr__offer--on': i === chosen}" @mousedown.prevent="accept(i)" @mouseenter="chosen = i">
          <span class="tr-expr__kind" :data-kind="o.kind">{{ o.kind.slice(0, 1) }}</span><span class="tr-expr__label">{{ o.label }}</span><span class="tr-expr__detail">{{ o.detail }}</span>
        </button>
      </div>
    </div>`,
  props: { value: String, placeholder: String, label: String, mode: String, bad: Boolean, readonly: Boolean, multiline: Boolean },
  emits: ["update:value", "ask", "focused", "left"],
  data: () => ({ text: "", offers: [], chosen: 0, timer: null, asked: 0 }),
  computed: {
    parts() {
      const out = [];
      (this.mode === "template" ? colourTemplate : colourExpression)(this.text, out);
      return out;
    },
    plain() {
      return this.mode === "template" && !this.text.includes("{{");
    },
  },
  watch: {
    value(next) {
      if ((next ?? "") !== this.text && this.timer === null) this.text = next ?? "";
      this.$nextTick(this.grow);
    },
  },
  created() {
    this.text = this.value ?? "";
  },
  mounted() {
    this.grow();
    this.observer = new ResizeObserver(() => this.grow());
    this.observer.observe(this.$el);
  },
  beforeUnmount() {
    this.observer.disconnect();
    this.flush();
  },
  methods: {
    grow() {
      const box = this.$refs.box;
      if (!box) return;
      box.style.height = "0";
      const height = Math.min(box.scrollHeight, 240) + "px";
      box.style.height = height;
      this.$refs.paint.style.height = height;
    },
    scroll() {
      this.$refs.paint.scrollTop = this.$refs.box.scrollTop;
    },
    typed(event) {
      this.text = event.target.value;
      this.grow();
      clearTimeout(this.timer);
      this.timer = setTimeout(this.flush, 220);
      this.ask();
    },
    flush() {
      if (this.timer === null) return;
      clearTimeout(this.timer);
      this.timer = null;
      this.$emit("update:value", this.text);
    },
    left() {
      this.flush();
      this.close();
      this.$emit("left");
    },
    ask() {
      const cursor = this.$refs.box.selectionStart;
      if (this.mode === "template") {
        const open = this.text.lastIndexOf("{{", cursor - 1);
        const close = this.text.lastIndexOf("}}", cursor - 1);
        if (open < 0 || close > open) return this.close();
      }
      this.asked += 1;
      this.$emit("ask", { text: this.text, cursor, asked: this.asked });
    },
    offer(asked, offers) {
      if (asked !== this.asked || document.activeElement !== this.$refs.box) return;
      this.offers = offers;
      this.chosen = 0;
    },
    close() {
      this.asked += 1;
      this.offers = [];
    },
    accept(i) {
      const o = this.offers[i];
      if (!o) return;
      this.text = this.text.slice(0, o.start) + o.insert + this.text.slice(o.end);
      this.close();
      this.$nextTick(() => {
        const box = this.$refs.box;
        box.focus();
        box.setSelectionRange(o.start + o.cursor, o.start + o.cursor);
        this.grow();
        if (o.insert.endsWith(".") || o.insert.endsWith("(")) this.ask();
      });
      clearTimeout(this.timer);
      this.timer = setTimeout(this.flush, 60);
    },
    key(event) {
      if (this.offers.length) {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
          event.preventDefault();
          this.chosen = (this.chosen + step + this.offers.length) % this.offers.length;
          this.$nextTick(() => this.$el.querySelector(".tr-expr__offer--on")?.scrollIntoView({ block: "nearest" }));
          return;
        }
        if (event.key === "Enter" || event.key === "Tab") {
          event.preventDefault();
          this.accept(this.chosen);
          return;
        }
        if (event.key === "Escape") {
          event.preventDefault();
          event.stopPropagation();
          this.close();
          return;
        }
      }
      if (event.key === " " && event.ctrlKey) {
        event.preventDefault();
        this.ask();
      }
      if (event.key === "Enter" && !this.multiline && !event.shiftKey) {
        event.preventDefault();
        this.flush();
      }
      if (event.key === "Enter" && event.ctrlKey) this.flush(); // Ctrl+Enter tests what stands here now
      // The canvas has keys of its own; what is typed here is typed here.
      if (!(event.ctrlKey && event.key === "Enter")) event.stopPropagation();
    },
  },
};
