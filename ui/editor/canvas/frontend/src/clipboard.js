// The clipboard carries document text. The DOM's copy event wants it at once, so Python sends it ahead with every selection.

const MAX_PASTE = 900_000; // NiceGUI drops messages above 1 MB

export function useClipboard({ isActive, selectedIds, readonly, remove, emit, pointer, say }) {
  let ready = { ids: "", text: "" };
  let waiting = false;

  const key = (ids) => [...ids].sort().join("\n");

  function offer({ ids, text }) {
    ready = { ids: key(ids), text };
    if (waiting && ready.ids === key(selectedIds())) {
      waiting = false;
      navigator.clipboard?.writeText(text).then(
        () => say("Copied."),
        () => say("Please copy once more."),
      );
    }
  }

  /** Whether the text of the selection went onto the clipboard. */
  function copy(event) {
    const ids = selectedIds();
    if (!isActive(event) || !ids.length || window.getSelection()?.toString()) return false;
    event.preventDefault();
    if (ready.ids !== key(ids)) {
      waiting = true; // the text is still on its way: it follows as soon as it is here
      return false;
    }
    event.clipboardData.setData("text/plain", ready.text);
    say(ids.length === 1 ? "1 step copied." : `${ids.length} steps copied.`);
    return true;
  }

  function cut(event) {
    if (!readonly() && copy(event)) remove();
  }

  function paste(event) {
    if (!isActive(event) || readonly()) return;
    const text = event.clipboardData.getData("text/plain");
    if (!text.trim()) return;
    event.preventDefault();
    if (text.length > MAX_PASTE) say("That is too much to paste; import it as a file.");
    else emit("paste", { text, ...pointer() });
  }

  function duplicate() {
    const ids = selectedIds();
    if (ids.length && ready.ids === key(ids)) emit("paste", { text: ready.text, x: null, y: null });
  }

  const listeners = { copy, cut, paste };
  return {
    offer,
    duplicate,
    start: () => Object.entries(listeners).forEach(([name, listener]) => document.addEventListener(name, listener)),
    stop: () => Object.entries(listeners).forEach(([name, listener]) => document.removeEventListener(name, listener)),
  };
}
