"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const cards = Array.from(document.querySelectorAll(".card"));
  const chips = Array.from(document.querySelectorAll("[data-filter]"));
  const search = byId("search");
  let texts = null;
  let word = "";
  let cause = "";
  let playing = null;

  document.documentElement.classList.add("can");

  function stop(focus) {
    if (!playing) return;
    const { link, box } = playing;
    playing = null;
    const video = box.querySelector("video");
    if (video) {
      video.removeAttribute("src");
      video.load();
    }
    box.replaceWith(link);
    if (focus) link.focus();
  }

  function play(link) {
    stop(false);
    const box = document.createElement("div");
    const video = document.createElement("video");
    const close = document.createElement("button");
    box.className = "screen playing";
    video.controls = true;
    video.autoplay = true;
    video.playsInline = true;
    video.setAttribute("aria-label", link.getAttribute("aria-label").replace(/^Play /, ""));
    const picture = link.querySelector("img");
    if (picture) video.poster = picture.src;
    video.addEventListener("error", () => {
      if (!playing || playing.box !== box) return;
      const said = document.createElement("p");
      said.setAttribute("role", "alert");
      said.textContent = "This video does not play: its link has expired, or there is no network.";
      const had = document.activeElement === video;
      video.replaceWith(said);
      if (had) close.focus();
    });
    close.type = "button";
    close.className = "close";
    close.textContent = "✕";
    close.setAttribute("aria-label", "Close the video");
    close.addEventListener("click", () => stop(true));
    box.append(video, close);
    playing = { link, box };
    link.replaceWith(box);
    video.src = link.href;
    video.focus();
  }

  function show() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !texts) texts = cards.map((card) => card.textContent.toLowerCase());
    let shown = 0;
    cards.forEach((card, index) => {
      const fits =
        (!word || card.dataset.word === word) &&
        (!cause || card.dataset.cause === cause) &&
        wanted.every((part) => texts[index].includes(part));
      if (card.hidden === fits) card.hidden = !fits;
      if (fits) shown += 1;
    });
    if (playing && playing.box.closest(".card").hidden) stop(false);
    chips.forEach((chip) => chip.setAttribute("aria-pressed", String(!cause && chip.dataset.filter === word)));
    const narrowed = word || cause || wanted.length;
    byId("told").textContent = narrowed ? `${shown.toLocaleString("en")} of ${cards.length.toLocaleString("en")} shown` : "";
    byId("none").hidden = shown > 0;
  }

  function choose(newWord, newCause) {
    word = newWord;
    cause = newCause;
    show();
  }

  function reveal(card) {
    search.value = "";
    choose("", "");
    card.scrollIntoView({ block: "center" });
    card.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const found = event.target.closest("[data-play], [data-filter], [data-show-cause], .where a");
    if (!found || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if ("play" in found.dataset) {
      event.preventDefault();
      play(found);
    } else if ("filter" in found.dataset) {
      choose(found.dataset.filter, "");
    } else if ("showCause" in found.dataset) {
      search.value = "";
      choose("", found.dataset.showCause);
      byId("rows-title").scrollIntoView();
      byId("rows").focus({ preventScroll: true });
    } else {
      event.preventDefault();
      reveal(byId(found.hash.slice(1)));
    }
  });

  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element ? event.target : document.body;
    if (event.key === " " && at.matches("[data-play]")) {
      event.preventDefault();
      play(at);
    } else if (event.key === "Escape" && playing && playing.box.contains(at)) {
      stop(true);
    } else if (event.key === "/" && at !== search && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });

  let later = 0;
  search.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(show, cards.length > 1000 ? 150 : 0);
  });

  cards.forEach((card) => {
    const link = card.querySelector("[data-play]");
    if (link) link.setAttribute("role", "button");
  });

  const expiry = byId("expiry");
  if (expiry && Date.now() / 1000 > Number(expiry.dataset.at)) {
    expiry.classList.add("over");
    expiry.querySelector("dt").textContent = "Links worked until";
    byId("expired").hidden = false;
  }
})();
