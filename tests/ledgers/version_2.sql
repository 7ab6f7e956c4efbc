-- A ledger as batcher 0.1.0 left it in its second form: two jobs in the middle of their work.
PRAGMA application_id = 1651794792;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    held_until REAL NOT NULL DEFAULT 0,
    held_why TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT ''       -- whose it is, as the API says; a new key of the same owner is the same account
) STRICT;
INSERT INTO "accounts" VALUES('9865bcc6d23e',0.0,'','rehearsal@example.com at 127.0.0.1:8399');
CREATE TABLE approvals (                 -- what a person has agreed to
    job TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    digest TEXT NOT NULL,                -- of the job file's content
    tasks INTEGER NOT NULL,
    cost REAL,                           -- NULL: no price was known
    currency TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at REAL NOT NULL
) STRICT;
CREATE TABLE assets (                    -- the files that accounts hold
    account TEXT NOT NULL,
    digest TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    url TEXT NOT NULL DEFAULT '',
    expires_at REAL,                     -- NULL: the API states no end
    PRIMARY KEY (account, digest)
) STRICT;
CREATE TABLE attempts (
    attempt_id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES tasks,
    number INTEGER NOT NULL,
    submission_id INTEGER NOT NULL REFERENCES submissions,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('invalid', 'waiting', 'sending', 'in progress', 'unsure', 'done', 'failed')),
    path TEXT NOT NULL,
    body TEXT NOT NULL,                  -- exactly as sent: resends use it unchanged
    key TEXT NOT NULL,
    token TEXT NOT NULL,
    remote_id TEXT NOT NULL DEFAULT '',
    word TEXT NOT NULL DEFAULT '',
    outputs TEXT NOT NULL DEFAULT '{}',
    error_code TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    advice TEXT NOT NULL DEFAULT '',
    estimate REAL,
    cost REAL,
    accepted_at REAL,
    completed_at REAL,
    took_s REAL,                         -- render time, where it is known well enough to learn from
    checked_at REAL,
    misses INTEGER NOT NULL DEFAULT 0, flag TEXT NOT NULL DEFAULT '', place INTEGER, ended_at REAL,
    UNIQUE (task_id, number)
) STRICT;
INSERT INTO "attempts" VALUES(1,1,1,1,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Anna Becker","variables":{"first_name":{"type":"text","content":"Anna"},"company":{"type":"text","content":"Becker & Söhne GmbH"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1001.png"}}},"callback_id":"bmqkie6xhwtp"}','b1-4uc4pijfqehjk236s7s4kv5gsjikntlu','bmqkie6xhwtp','47b8db25ca2ed8b917511045b7e3b5bb','completed','{"video_id": "47b8db25ca2ed8b917511045b7e3b5bb", "video_url": "http://127.0.0.1:8399/files/47b8db25ca2ed8b917511045b7e3b5bb.mp4?Expires=1795817255&Signature=2bcf1c9d6ce505d31558f210de595775", "page_url": "http://127.0.0.1:8399/videos/47b8db25ca2ed8b917511045b7e3b5bb", "thumbnail_url": "http://127.0.0.1:8399/files/47b8db25ca2ed8b917511045b7e3b5bb.png?Expires=1795817255&Signature=556c1e98b963c38266ac6fde0fd02764", "subtitle_url": "http://127.0.0.1:8399/files/47b8db25ca2ed8b917511045b7e3b5bb.srt?Expires=1795817255&Signature=7dbd01df465ecf913170694aad8d1311", "duration_s": "8.6"}','','','',1.33399999999999985256e+00,0.6003,1.79521240404734873773e+09,1795212406.0,1.95265126228332519531e+00,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,1,2,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Liam O''Connor","variables":{"first_name":{"type":"text","content":"Liam"},"company":{"type":"text","content":"Harbour Coffee"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1002.png"}}},"callback_id":"b5jw4vk7lmns"}','b1-4mrnlrjrwjubxfmutk2urb6vdelgvihc','b5jw4vk7lmns','921adabaf2b34dd083853effcbc6979f','completed','{"video_id": "921adabaf2b34dd083853effcbc6979f", "video_url": "http://127.0.0.1:8399/files/921adabaf2b34dd083853effcbc6979f.mp4?Expires=1795817255&Signature=724bdbb060374ebc7cf63af183c1a957", "page_url": "http://127.0.0.1:8399/videos/921adabaf2b34dd083853effcbc6979f", "thumbnail_url": "http://127.0.0.1:8399/files/921adabaf2b34dd083853effcbc6979f.png?Expires=1795817255&Signature=54f9aa6dbb86dffb37968569e6c78874", "subtitle_url": "http://127.0.0.1:8399/files/921adabaf2b34dd083853effcbc6979f.srt?Expires=1795817255&Signature=84d45074688cd7c27a9cc6e1da1f04b9", "duration_s": "8.27"}','','','',1.33399999999999985256e+00,0.6003,1.79521240404732489582e+09,1795212405.0,9.52675104141235351562e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(3,3,1,3,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Sofía García","variables":{"first_name":{"type":"text","content":"Sofía"},"company":{"type":"text","content":"Luz de Mar"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1003.png"}}},"callback_id":"bwp4hkhboc5k"}','b1-ibnoutiv4anm5o43qbgcj2igdw3rerbb','bwp4hkhboc5k','617f656c6582687fc231acee1dfd4ee6','completed','{"video_id": "617f656c6582687fc231acee1dfd4ee6", "video_url": "http://127.0.0.1:8399/files/617f656c6582687fc231acee1dfd4ee6.mp4?Expires=1795817255&Signature=beb79734383a9ceac281ca27777ef26a", "page_url": "http://127.0.0.1:8399/videos/617f656c6582687fc231acee1dfd4ee6", "thumbnail_url": "http://127.0.0.1:8399/files/617f656c6582687fc231acee1dfd4ee6.png?Expires=1795817255&Signature=833ad84a7864ab9e7107fa0c9a148c91", "subtitle_url": "http://127.0.0.1:8399/files/617f656c6582687fc231acee1dfd4ee6.srt?Expires=1795817255&Signature=63b38a4479399cf1a077b7a80ec1ad95", "duration_s": "8.07"}','','','',1.33399999999999985256e+00,0.6003,1795212404.05081,1795212406.0,1.94918990135192871093e+00,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(4,4,1,4,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Mateo Fernández","variables":{"first_name":{"type":"text","content":"Mateo"},"company":{"type":"text","content":"your team"}},"callback_id":"bmcodoaj2oms"}','b1-n25uwhmqy3zkfc2ras6vkt2dl5cd4ri4','bmcodoaj2oms','69288e94796989f6ed127f18b4d998af','completed','{"video_id": "69288e94796989f6ed127f18b4d998af", "video_url": "http://127.0.0.1:8399/files/69288e94796989f6ed127f18b4d998af.mp4?Expires=1795817255&Signature=eef21f8cc471f19373020de7f3e6d748", "page_url": "http://127.0.0.1:8399/videos/69288e94796989f6ed127f18b4d998af", "thumbnail_url": "http://127.0.0.1:8399/files/69288e94796989f6ed127f18b4d998af.png?Expires=1795817255&Signature=8f7161e110938aaed9df45138cf51aad", "subtitle_url": "http://127.0.0.1:8399/files/69288e94796989f6ed127f18b4d998af.srt?Expires=1795817255&Signature=fd13b8f3ce01eb5d5b0f9a52c9374c3b", "duration_s": "8"}','','','',1.33399999999999985256e+00,0.5336,1.79521240405079293258e+09,1795212404.0,NULL,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(5,5,1,5,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Chloé Dubois","variables":{"first_name":{"type":"text","content":"Chloé"},"company":{"type":"text","content":"Atelier Dubois"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1005.png"}}},"callback_id":"b426n33glkoj"}','b1-3wa3zueyazkaxyd2zkzuarkcp2vufy2p','b426n33glkoj','d6feea4d76b121a7e76a790fad72c8b0','completed','{"video_id": "d6feea4d76b121a7e76a790fad72c8b0", "video_url": "http://127.0.0.1:8399/files/d6feea4d76b121a7e76a790fad72c8b0.mp4?Expires=1795817255&Signature=871d430d0983c04712cd4f39d77b31de", "page_url": "http://127.0.0.1:8399/videos/d6feea4d76b121a7e76a790fad72c8b0", "thumbnail_url": "http://127.0.0.1:8399/files/d6feea4d76b121a7e76a790fad72c8b0.png?Expires=1795817255&Signature=a030cf533f4448a383b745a2a9fee153", "subtitle_url": "http://127.0.0.1:8399/files/d6feea4d76b121a7e76a790fad72c8b0.srt?Expires=1795817255&Signature=027db9f50214236ac26daa307bfc77e2", "duration_s": "8.33"}','','','',1.33399999999999985256e+00,0.6003,1.79521240405082154268e+09,1795212405.0,9.49178457260131835937e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(6,6,1,6,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Noah Janssen","variables":{"first_name":{"type":"text","content":"Noah"},"company":{"type":"text","content":"Janssen Fietsen"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1006.png"}}},"callback_id":"brhmzex5kcyf"}','b1-3oby3xkdfa2odufgoxpj5r4tny7ykhap','brhmzex5kcyf','7b95a86ba008b6d0efff9401caa2d52d','completed','{"video_id": "7b95a86ba008b6d0efff9401caa2d52d", "video_url": "http://127.0.0.1:8399/files/7b95a86ba008b6d0efff9401caa2d52d.mp4?Expires=1795817255&Signature=b44843d37b1f6da1ed9a953b2275f86f", "page_url": "http://127.0.0.1:8399/videos/7b95a86ba008b6d0efff9401caa2d52d", "thumbnail_url": "http://127.0.0.1:8399/files/7b95a86ba008b6d0efff9401caa2d52d.png?Expires=1795817255&Signature=756050e47dad7d7e94651419dc281cfb", "subtitle_url": "http://127.0.0.1:8399/files/7b95a86ba008b6d0efff9401caa2d52d.srt?Expires=1795817255&Signature=cb7dbf2ed4db5c4482e617a9d1099530", "duration_s": "8.33"}','','','',1.33399999999999985256e+00,0.6003,1.79521240405082869529e+09,1795212405.0,9.49171304702758789062e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(7,7,1,7,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Zoë Peeters","variables":{"first_name":{"type":"text","content":"Zoë"},"company":{"type":"text","content":"Studio Zoë"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1007.png"}}},"callback_id":"b3wnfw2vjuz4"}','b1-qi4spr733bla7jq7l43htph43fgter5p','b3wnfw2vjuz4','1a6469d873d94d7c753782eeb0b08099','completed','{"video_id": "1a6469d873d94d7c753782eeb0b08099", "video_url": "http://127.0.0.1:8399/files/1a6469d873d94d7c753782eeb0b08099.mp4?Expires=1795817255&Signature=10e2d088f75fbe99da2cb72c3ddc618c", "page_url": "http://127.0.0.1:8399/videos/1a6469d873d94d7c753782eeb0b08099", "thumbnail_url": "http://127.0.0.1:8399/files/1a6469d873d94d7c753782eeb0b08099.png?Expires=1795817255&Signature=e739bc50407387925b6cd857b557bf3c", "subtitle_url": "http://127.0.0.1:8399/files/1a6469d873d94d7c753782eeb0b08099.srt?Expires=1795817255&Signature=4a1acb50283aad79f0e48f93fc8c84ad", "duration_s": "7.93"}','','','',1.33399999999999985256e+00,0.5336,1.79521240405081582069e+09,1795212404.0,NULL,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(8,8,1,8,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Jürgen Müller","variables":{"first_name":{"type":"text","content":"Jürgen"},"company":{"type":"text","content":"Müller Haustechnik"}},"callback_id":"b22nbxtzpjan"}','b1-spv6hmqkp2ks4u4v3aattee5pu5meyax','b22nbxtzpjan','79424028d211550d17f9950618ddbf49','completed','{"video_id": "79424028d211550d17f9950618ddbf49", "video_url": "http://127.0.0.1:8399/files/79424028d211550d17f9950618ddbf49.mp4?Expires=1795817255&Signature=a1aac49ba8a19a418deaf78a53e4d833", "page_url": "http://127.0.0.1:8399/videos/79424028d211550d17f9950618ddbf49", "thumbnail_url": "http://127.0.0.1:8399/files/79424028d211550d17f9950618ddbf49.png?Expires=1795817255&Signature=4a707c6c990355bda430b8db03b9dff3", "subtitle_url": "http://127.0.0.1:8399/files/79424028d211550d17f9950618ddbf49.srt?Expires=1795817255&Signature=fbffa996f8b12e9d28763bbe718c9bae", "duration_s": "8.67"}','','','',1.33399999999999985256e+00,0.6003,1.79521240405237126344e+09,1795212405.0,9.47628736495971679687e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(9,9,1,9,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Åsa Lindqvist","variables":{"first_name":{"type":"text","content":"Åsa"},"company":{"type":"text","content":"Nordljus AB"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1009.png"}}},"callback_id":"bfcka6fey3ty"}','b1-mh7kqa2pgdaktkvs6pgu32bntlniheae','bfcka6fey3ty','773e22e0dad83ddad26f30e5bc04ddec','completed','{"video_id": "773e22e0dad83ddad26f30e5bc04ddec", "video_url": "http://127.0.0.1:8399/files/773e22e0dad83ddad26f30e5bc04ddec.mp4?Expires=1795817255&Signature=2c82208cfc7126112848336d93a49eac", "page_url": "http://127.0.0.1:8399/videos/773e22e0dad83ddad26f30e5bc04ddec", "thumbnail_url": "http://127.0.0.1:8399/files/773e22e0dad83ddad26f30e5bc04ddec.png?Expires=1795817255&Signature=7a445ae67aecf412484892d10ddda201", "subtitle_url": "http://127.0.0.1:8399/files/773e22e0dad83ddad26f30e5bc04ddec.srt?Expires=1795817255&Signature=644f9c6a34c349d46dc8092f67b10e7b", "duration_s": "8"}','','','',1.33399999999999985256e+00,0.5336,1.79521240405238795279e+09,1795212405.0,9.47612047195434570312e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(10,10,1,10,'9865bcc6d23e','heygen.template','done','/v3/templates/tpl_welcome','{"title":"Welcome Giulia Rossi","variables":{"first_name":{"type":"text","content":"Giulia"},"company":{"type":"text","content":"Forno Rossi"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1010.png"}}},"callback_id":"by2zdv2p5rhh"}','b1-5nhsxzxluj45z4rwelt754x6aqx3p2bx','by2zdv2p5rhh','2913b0b6847109b21f2d6d76c7cb1aa8','completed','{"video_id": "2913b0b6847109b21f2d6d76c7cb1aa8", "video_url": "http://127.0.0.1:8399/files/2913b0b6847109b21f2d6d76c7cb1aa8.mp4?Expires=1795817255&Signature=d70ba409dc55c9b18809080fa099ffd5", "page_url": "http://127.0.0.1:8399/videos/2913b0b6847109b21f2d6d76c7cb1aa8", "thumbnail_url": "http://127.0.0.1:8399/files/2913b0b6847109b21f2d6d76c7cb1aa8.png?Expires=1795817255&Signature=c669d7e197890858ee686e517b20e13b", "subtitle_url": "http://127.0.0.1:8399/files/2913b0b6847109b21f2d6d76c7cb1aa8.srt?Expires=1795817255&Signature=fbfae28a67d8b88ca242050e19898cf7", "duration_s": "8.2"}','','','',1.33399999999999985256e+00,0.6003,1.79521240405239462852e+09,1795212405.0,9.47605371475219726562e-01,1.79521245507934880262e+09,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(11,41,1,11,'9865bcc6d23e','heygen.video','in progress','/v3/videos','{"type":"studio","title":"the Ridge tent","resolution":"1080p","scenes":[{"type":"avatar_video","input":{"type":"avatar","avatar_id":"look_abigail_office","voice_id":"voice_anna","script":"This is the Ridge tent.","background":{"type":"color","color":"#1F3A2E"}}},{"type":"image","source":{"type":"url","url":"https://files.example.com/products/t-200.jpg"},"voice_id":"voice_anna","script":"Two people and four kilos less to carry."},{"type":"video","source":{"type":"url","url":"https://files.example.com/videos/outro.mp4"},"playback":{"volume":0.4}}],"callback_id":"bv3eu4h3pkd3"}','b1-273ljajwthcoxizpv3iuhuncjwmow6i5','bv3eu4h3pkd3','003dec8d2b9e647a935646b570dfd9cd','','{}','','','',3.3349999999999996314e-01,NULL,1.79521245530299878127e+09,NULL,NULL,NULL,0,'',NULL,NULL);
INSERT INTO "attempts" VALUES(12,42,1,12,'9865bcc6d23e','heygen.video','in progress','/v3/videos','{"type":"studio","title":"the Harbour jacket","resolution":"1080p","scenes":[{"type":"avatar_video","input":{"type":"avatar","avatar_id":"look_abigail_office","voice_id":"voice_anna","script":"This is the Harbour jacket.","background":{"type":"color","color":"#23304A"}}},{"type":"image","source":{"type":"url","url":"https://files.example.com/products/j-310.jpg"},"voice_id":"voice_anna","script":"Rain stays out, warmth stays in."},{"type":"video","source":{"type":"url","url":"https://files.example.com/videos/outro.mp4"},"playback":{"volume":0.4}}],"callback_id":"bx2lcoirqexw"}','b1-rfafpj3c5b6rezzzoqikfa6bsqleiqgl','bx2lcoirqexw','1992c830761d5a040770dac965abe830','','{}','','','',0.2668,NULL,1795212455.30209,NULL,NULL,NULL,0,'',NULL,NULL);
CREATE TABLE files (                     -- what has become of each file that is wanted of a task
    task_id INTEGER NOT NULL REFERENCES tasks,
    output TEXT NOT NULL,
    attempt_id INTEGER NOT NULL,         -- whose link it was fetched from
    state TEXT NOT NULL CHECK (state IN ('here', 'later', 'refused', 'occupied')),
    path TEXT NOT NULL,                  -- relative to the folder of the results file
    bytes INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (task_id, output)
) STRICT;
CREATE TABLE handed (                    -- jobs that workers look after
    job TEXT PRIMARY KEY,
    path TEXT NOT NULL,                  -- of the job file, the same on every machine
    at REAL NOT NULL,
    until REAL,                          -- NULL: no deadline
    every_s REAL,                        -- NULL: not planned again by itself
    failed_before INTEGER NOT NULL,      -- rows that were failed, and finished, when it was handed over
    finished_before INTEGER NOT NULL,
    stop TEXT NOT NULL DEFAULT '',       -- why nothing more is sent
    stop_exit INTEGER NOT NULL DEFAULT 0,
    ended_at REAL,                       -- NULL while it is worked on
    exit INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE holders (holder TEXT PRIMARY KEY, alive_until REAL NOT NULL) STRICT;
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    sheet TEXT NOT NULL,
    fingerprint TEXT NOT NULL DEFAULT '',
    row_count INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    planned_at REAL,
    written TEXT NOT NULL DEFAULT ''     -- the state of the ledger that the results file shows
, renew_at REAL) STRICT;
INSERT INTO "jobs" VALUES('welcome-videos','/home/anna/campaign/jobs/welcome.yaml','9865bcc6d23e','heygen.template','/home/anna/campaign/sample_data/customers.csv','ae87ad83c25841b16ad13b75451158c0',42,2,1.79521240388455796243e+09,'30',NULL);
INSERT INTO "jobs" VALUES('product-tour','/home/anna/campaign/jobs/product_tour.yaml','9865bcc6d23e','heygen.video','/home/anna/campaign/sample_data/products.csv','534cbd9c0ac0bae3399188c80347b136',2,0,1.79521245520498418804e+09,'34',NULL);
CREATE TABLE local_files (                     -- what the last plan of a job has looked at on this machine
    job TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, path)
) STRICT;
CREATE TABLE moved (place TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TABLE moves (                     -- the history of every task
    task_id INTEGER NOT NULL,
    attempt_id INTEGER,
    at REAL NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    source TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;
INSERT INTO "moves" VALUES(1,1,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(2,2,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(3,3,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(4,4,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(5,5,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(6,6,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(7,7,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(8,8,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(9,9,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(10,10,1.79521240403315258029e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(2,2,1.79521240404732489582e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(1,1,1.79521240404734873773e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(4,4,1.79521240405079293258e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(3,3,1795212404.05081,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(7,7,1.79521240405081582069e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(5,5,1.79521240405082154268e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(6,6,1.79521240405082869529e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(8,8,1.79521240405237126344e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(9,9,1.79521240405238795279e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(10,10,1.79521240405239462852e+09,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(10,10,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(9,9,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(8,8,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(6,6,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(7,7,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(5,5,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(3,3,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(4,4,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(1,1,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(2,2,1.79521245507934880262e+09,'in progress','done','list','completed');
INSERT INTO "moves" VALUES(41,11,1.79521245529649472235e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(42,12,1.79521245529649472235e+09,'waiting','sending','plan','admitted');
INSERT INTO "moves" VALUES(42,12,1795212455.30209,'sending','in progress','answer','accepted');
INSERT INTO "moves" VALUES(41,11,1.79521245530299878127e+09,'sending','in progress','answer','accepted');
CREATE TABLE needs (                     -- the files that must be at the account before a task is sent
    task_id INTEGER NOT NULL,
    digest TEXT NOT NULL,                -- SHA-256 of the content
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    place TEXT NOT NULL,                 -- the cell that names it
    PRIMARY KEY (task_id, digest)
) STRICT;
CREATE TABLE samples (                   -- the rows that were made first, and what they have shown
    job TEXT PRIMARY KEY,
    row_ids TEXT NOT NULL,               -- JSON list
    lengths TEXT NOT NULL,               -- JSON, step to how long its work came out
    priced REAL NOT NULL,
    charged REAL                         -- NULL: the balance could not tell
) STRICT;
CREATE TABLE sends (                     -- the log that rate windows are counted over
    account TEXT NOT NULL,
    at REAL NOT NULL,                    -- when it was let go; once answered, when the answer came: the server saw it by then
    answered INTEGER NOT NULL DEFAULT 0,
    submission_id INTEGER NOT NULL
) STRICT;
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240404734873773e+09,1,1);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240404732489582e+09,1,2);
INSERT INTO "sends" VALUES('9865bcc6d23e',1795212404.05081,1,3);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405079293258e+09,1,4);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405082154268e+09,1,5);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405082869529e+09,1,6);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405081582069e+09,1,7);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405237126344e+09,1,8);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405238795279e+09,1,9);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521240405239462852e+09,1,10);
INSERT INTO "sends" VALUES('9865bcc6d23e',1.79521245530299878127e+09,1,11);
INSERT INTO "sends" VALUES('9865bcc6d23e',1795212455.30209,1,12);
CREATE TABLE submissions (               -- one HTTP write, with the time its first byte may have left
    submission_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    first_sent_at REAL NOT NULL,
    sends INTEGER NOT NULL DEFAULT 1
, batch_id TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 1, holder TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "submissions" VALUES(1,'9865bcc6d23e','heygen.template','b1-4uc4pijfqehjk236s7s4kv5gsjikntlu',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(2,'9865bcc6d23e','heygen.template','b1-4mrnlrjrwjubxfmutk2urb6vdelgvihc',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(3,'9865bcc6d23e','heygen.template','b1-ibnoutiv4anm5o43qbgcj2igdw3rerbb',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(4,'9865bcc6d23e','heygen.template','b1-n25uwhmqy3zkfc2ras6vkt2dl5cd4ri4',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(5,'9865bcc6d23e','heygen.template','b1-3wa3zueyazkaxyd2zkzuarkcp2vufy2p',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(6,'9865bcc6d23e','heygen.template','b1-3oby3xkdfa2odufgoxpj5r4tny7ykhap',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(7,'9865bcc6d23e','heygen.template','b1-qi4spr733bla7jq7l43htph43fgter5p',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(8,'9865bcc6d23e','heygen.template','b1-spv6hmqkp2ks4u4v3aattee5pu5meyax',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(9,'9865bcc6d23e','heygen.template','b1-mh7kqa2pgdaktkvs6pgu32bntlniheae',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(10,'9865bcc6d23e','heygen.template','b1-5nhsxzxluj45z4rwelt754x6aqx3p2bx',1.79521240403315258029e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(11,'9865bcc6d23e','heygen.video','b1-273ljajwthcoxizpv3iuhuncjwmow6i5',1.79521245529649472235e+09,1,'',1,'');
INSERT INTO "submissions" VALUES(12,'9865bcc6d23e','heygen.video','b1-rfafpj3c5b6rezzzoqikfa6bsqleiqgl',1.79521245529649472235e+09,1,'',1,'');
CREATE TABLE tasks (
    task_id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    row_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item TEXT NOT NULL,
    row_number INTEGER NOT NULL,
    operation TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('invalid', 'waiting', 'sending', 'in progress', 'unsure', 'done', 'failed')),
    input_hash TEXT NOT NULL,
    made_hash TEXT NOT NULL DEFAULT '',  -- input of the newest attempt; '' before the first
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    flaws TEXT NOT NULL DEFAULT '',      -- JSON list of (place, message)
    estimate REAL,
    ready INTEGER NOT NULL DEFAULT 1,    -- 0: an earlier step of the row must be done before it can be sent
    cells TEXT NOT NULL DEFAULT '',      -- JSON, header to text: what its body is made from once it is ready
    gone INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0, made_from TEXT NOT NULL DEFAULT '',     -- 1: its row is no longer in the sheet, or left out by `where`
    UNIQUE (job, row_id, step, item)     -- a task is these four: no row is ever made twice because it was planned twice
) STRICT;
INSERT INTO "tasks" VALUES(1,'welcome-videos','C-1001','','',2,'heygen.template','done','6df39943eb4a232b759389980e04a874','6df39943eb4a232b759389980e04a874','/v3/templates/tpl_welcome','{"title":"Welcome Anna Becker","variables":{"first_name":{"type":"text","content":"Anna"},"company":{"type":"text","content":"Becker & Söhne GmbH"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1001.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(2,'welcome-videos','C-1002','','',3,'heygen.template','done','c369fee0393b32d0c1e41318acaee50a','c369fee0393b32d0c1e41318acaee50a','/v3/templates/tpl_welcome','{"title":"Welcome Liam O''Connor","variables":{"first_name":{"type":"text","content":"Liam"},"company":{"type":"text","content":"Harbour Coffee"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1002.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(3,'welcome-videos','C-1003','','',4,'heygen.template','done','2919c83927cdeb16d2220ae7d5f328af','2919c83927cdeb16d2220ae7d5f328af','/v3/templates/tpl_welcome','{"title":"Welcome Sofía García","variables":{"first_name":{"type":"text","content":"Sofía"},"company":{"type":"text","content":"Luz de Mar"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1003.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(4,'welcome-videos','C-1004','','',5,'heygen.template','done','730d90f66ab9928992e126d61a307132','730d90f66ab9928992e126d61a307132','/v3/templates/tpl_welcome','{"title":"Welcome Mateo Fernández","variables":{"first_name":{"type":"text","content":"Mateo"},"company":{"type":"text","content":"your team"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(5,'welcome-videos','C-1005','','',6,'heygen.template','done','e43eeafe9e4cf81e8eda3965aff3ec63','e43eeafe9e4cf81e8eda3965aff3ec63','/v3/templates/tpl_welcome','{"title":"Welcome Chloé Dubois","variables":{"first_name":{"type":"text","content":"Chloé"},"company":{"type":"text","content":"Atelier Dubois"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1005.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(6,'welcome-videos','C-1006','','',7,'heygen.template','done','04f12e6746ae13546ae46a552d1db1a3','04f12e6746ae13546ae46a552d1db1a3','/v3/templates/tpl_welcome','{"title":"Welcome Noah Janssen","variables":{"first_name":{"type":"text","content":"Noah"},"company":{"type":"text","content":"Janssen Fietsen"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1006.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(7,'welcome-videos','C-1007','','',8,'heygen.template','done','fa00adf9e4a04b2aecf18da30c1354d5','fa00adf9e4a04b2aecf18da30c1354d5','/v3/templates/tpl_welcome','{"title":"Welcome Zoë Peeters","variables":{"first_name":{"type":"text","content":"Zoë"},"company":{"type":"text","content":"Studio Zoë"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1007.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(8,'welcome-videos','C-1008','','',9,'heygen.template','done','d817b3aa0e76df09b1d99388ac93bea1','d817b3aa0e76df09b1d99388ac93bea1','/v3/templates/tpl_welcome','{"title":"Welcome Jürgen Müller","variables":{"first_name":{"type":"text","content":"Jürgen"},"company":{"type":"text","content":"Müller Haustechnik"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(9,'welcome-videos','C-1009','','',10,'heygen.template','done','2db1784d858c70087e4bffd3c550ec65','2db1784d858c70087e4bffd3c550ec65','/v3/templates/tpl_welcome','{"title":"Welcome Åsa Lindqvist","variables":{"first_name":{"type":"text","content":"Åsa"},"company":{"type":"text","content":"Nordljus AB"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1009.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(10,'welcome-videos','C-1010','','',11,'heygen.template','done','71be157781c36d9e460ee8ad6180c7dd','71be157781c36d9e460ee8ad6180c7dd','/v3/templates/tpl_welcome','{"title":"Welcome Giulia Rossi","variables":{"first_name":{"type":"text","content":"Giulia"},"company":{"type":"text","content":"Forno Rossi"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1010.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(11,'welcome-videos','C-1011','','',12,'heygen.template','invalid','157f9a5f9a12c15b7154d6726b805417','','','','[["customers.csv!B12", "First name is empty"]]',NULL,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(12,'welcome-videos','C-1012','','',13,'heygen.template','waiting','a1d7a658a26520acb91b7b337c2041a9','','/v3/templates/tpl_welcome','{"title":"Welcome José da Silva","variables":{"first_name":{"type":"text","content":"José"},"company":{"type":"text","content":"Padaria Central"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(13,'welcome-videos','C-1013','','',14,'heygen.template','waiting','8ace7fbb19b7af559b501230571df5eb','','/v3/templates/tpl_welcome','{"title":"Welcome Kateřina Nováková","variables":{"first_name":{"type":"text","content":"Kateřina"},"company":{"type":"text","content":"Kavárna Pod Lípou"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1013.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(14,'welcome-videos','C-1014','','',15,'heygen.template','waiting','76ad81e012acf2c8b8e0bafe1c539407','','/v3/templates/tpl_welcome','{"title":"Welcome Łukasz Wójcik","variables":{"first_name":{"type":"text","content":"Łukasz"},"company":{"type":"text","content":"Wójcik Transport"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1014.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(15,'welcome-videos','C-1015','','',16,'heygen.template','waiting','af1c40fb870fe0d6863cf61626031d1a','','/v3/templates/tpl_welcome','{"title":"Welcome Emma Larsen","variables":{"first_name":{"type":"text","content":"Emma"},"company":{"type":"text","content":"your team"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(16,'welcome-videos','C-1016','','',17,'heygen.template','waiting','f409d3b11b3b18bb7a2ed3cc9ffb602e','','/v3/templates/tpl_welcome','{"title":"Welcome Bartholomäus von der Heide","variables":{"first_name":{"type":"text","content":"Bartholomäus"},"company":{"type":"text","content":"Weingut von der Heide"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(17,'welcome-videos','C-1017','','',18,'heygen.template','waiting','40cf987c6d9773216b210617df96c2f1','','/v3/templates/tpl_welcome','{"title":"Welcome Yuki Tanaka","variables":{"first_name":{"type":"text","content":"Yuki"},"company":{"type":"text","content":"Tanaka Ceramics"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1017.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(18,'welcome-videos','C-1018','','',19,'heygen.template','waiting','b3a6813e1d13985da7ecb7b9e929280e','','/v3/templates/tpl_welcome','{"title":"Welcome Fatima El Amrani","variables":{"first_name":{"type":"text","content":"Fatima"},"company":{"type":"text","content":"Riad El Amrani"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1018.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(19,'welcome-videos','C-1019','','',20,'heygen.template','waiting','adb8555dc64f7c62cefe0f78d3032700','','/v3/templates/tpl_welcome','{"title":"Welcome Oliver Smith","variables":{"first_name":{"type":"text","content":"Oliver"},"company":{"type":"text","content":"Smith, Smith & Daughters"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1019.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(20,'welcome-videos','C-1021','','',22,'heygen.template','waiting','6b72bc91c061c0ba2bd5bf288fc1e5ab','','/v3/templates/tpl_welcome','{"title":"Welcome Lucas Martin","variables":{"first_name":{"type":"text","content":"Lucas"},"company":{"type":"text","content":"Vélo Martin"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1021.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(21,'welcome-videos','C-1022','','',23,'heygen.template','waiting','335fcbae76246673a4eb5760f9644eb2','','/v3/templates/tpl_welcome','{"title":"Welcome Elena Popescu","variables":{"first_name":{"type":"text","content":"Elena"},"company":{"type":"text","content":"Popescu Design"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1022.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(22,'welcome-videos','C-1023','','',24,'heygen.template','waiting','29935b9a1db4ade42f6b6c0879d1ff96','','/v3/templates/tpl_welcome','{"title":"Welcome Dmitri Petrov","variables":{"first_name":{"type":"text","content":"Dmitri"},"company":{"type":"text","content":"Petrov Dental"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/missing.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(23,'welcome-videos','C-1024','','',25,'heygen.template','waiting','7425af9ddbc696d540241a7aa708651d','','/v3/templates/tpl_welcome','{"title":"Welcome Ines Marić","variables":{"first_name":{"type":"text","content":"Ines"},"company":{"type":"text","content":"Kuća Kave"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(24,'welcome-videos','C-1025','','',26,'heygen.template','waiting','c567ac51abf35836d73482c6627ace5e','','/v3/templates/tpl_welcome','{"title":"Welcome Tom Baker","variables":{"first_name":{"type":"text","content":"Tom"},"company":{"type":"text","content":"The \"Good\" Bakery"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1025.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(25,'welcome-videos','C-1026','','',27,'heygen.template','waiting','a081d5ccd84379497ba2eafcd1294656','','/v3/templates/tpl_welcome','{"title":"Welcome Nina Hofer","variables":{"first_name":{"type":"text","content":"Nina"},"company":{"type":"text","content":"Bergsport Hofer"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1026.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(26,'welcome-videos','C-1027','','',28,'heygen.template','waiting','38ecd4735bce9b735f8dc5bc53cff943','','/v3/templates/tpl_welcome','{"title":"Welcome Paul Keller","variables":{"first_name":{"type":"text","content":"Paul"},"company":{"type":"text","content":"Keller Optik"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1027.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(27,'welcome-videos','C-1028','','',29,'heygen.template','waiting','c627c2b3bfb4a582ce1c46677925dd3d','','/v3/templates/tpl_welcome','{"title":"Welcome Aoife Byrne","variables":{"first_name":{"type":"text","content":"Aoife"},"company":{"type":"text","content":"Byrne Florists"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(28,'welcome-videos','C-1029','','',30,'heygen.template','waiting','11344ae4b838ea5b1060b3753b28e95c','','/v3/templates/tpl_welcome','{"title":"Welcome Marta Kowalska","variables":{"first_name":{"type":"text","content":"Marta"},"company":{"type":"text","content":"Pracownia Marta"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1029.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(29,'welcome-videos','C-1030','','',31,'heygen.template','waiting','b2ad20c6cac161115a06d61e96edceb3','','/v3/templates/tpl_welcome','{"title":"Welcome Hugo Andersson","variables":{"first_name":{"type":"text","content":"Hugo"},"company":{"type":"text","content":"Hugos Cykel"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1030.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(30,'welcome-videos','C-1031','','',32,'heygen.template','waiting','836cc4838a52119daa6e7f3c2f08e125','','/v3/templates/tpl_welcome','{"title":"Welcome Laura Conti","variables":{"first_name":{"type":"text","content":"Laura"},"company":{"type":"text","content":"Conti Immobili"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1031.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(31,'welcome-videos','C-1032','','',33,'heygen.template','waiting','0e5c68e60718269f7047119b1c083b0a','','/v3/templates/tpl_welcome','{"title":"Welcome Finn Petersen","variables":{"first_name":{"type":"text","content":"Finn"},"company":{"type":"text","content":"Petersen Boote"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(32,'welcome-videos','C-1033','','',34,'heygen.template','waiting','5d7b137ad855701900827d9d53bba5c3','','/v3/templates/tpl_welcome','{"title":"Welcome Amélie Bernard","variables":{"first_name":{"type":"text","content":"Amélie"},"company":{"type":"text","content":"your team"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(33,'welcome-videos','C-1034','','',35,'heygen.template','waiting','34cd30c9b6fd457f008565a5cd662364','','/v3/templates/tpl_welcome','{"title":"Welcome Max Huber","variables":{"first_name":{"type":"text","content":"Max"},"company":{"type":"text","content":"Huber Elektro"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1034.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(34,'welcome-videos','C-1035','','',36,'heygen.template','waiting','840e633ab497b33a0e09784276a0ed6d','','/v3/templates/tpl_welcome','{"title":"Welcome Nadia Haddad","variables":{"first_name":{"type":"text","content":"Nadia"},"company":{"type":"text","content":"Haddad Catering"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1035.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(35,'welcome-videos','C-1036','','',37,'heygen.template','waiting','29db99f34c683e3431cb8fd2feee762c','','/v3/templates/tpl_welcome','{"title":"Welcome Peter Szabó","variables":{"first_name":{"type":"text","content":"Peter"},"company":{"type":"text","content":"Szabó Pékség"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(36,'welcome-videos','C-1038','','',39,'heygen.template','waiting','1be5734c5f0d061ad209a576abe6e13c','','/v3/templates/tpl_welcome','{"title":"Welcome Simon Weber","variables":{"first_name":{"type":"text","content":"Simon"},"company":{"type":"text","content":"Weber Fliesen"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1038.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(37,'welcome-videos','C-1039','','',40,'heygen.template','waiting','32a81849bbcb06eecec689585af15c39','','/v3/templates/tpl_welcome','{"title":"Welcome Teresa Costa","variables":{"first_name":{"type":"text","content":"Teresa"},"company":{"type":"text","content":"Costa Cerâmica"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1039.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(38,'welcome-videos','C-1040','','',41,'heygen.template','waiting','8f4ee0e67c2bbb9cb40e930473f013de','','/v3/templates/tpl_welcome','{"title":"Welcome Viktor Horvat","variables":{"first_name":{"type":"text","content":"Viktor"},"company":{"type":"text","content":"Horvat Auto"}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(39,'welcome-videos','C-1041','','',42,'heygen.template','waiting','2af7ae061a15da950078d77eb886f480','','/v3/templates/tpl_welcome','{"title":"Welcome Wendy Clarke","variables":{"first_name":{"type":"text","content":"Wendy"},"company":{"type":"text","content":"Clarke Dance"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1041.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(40,'welcome-videos','C-1042','','',43,'heygen.template','waiting','5b20a1d206409e3c3051636ae11f2625','','/v3/templates/tpl_welcome','{"title":"Welcome Xenia Papadopoulou","variables":{"first_name":{"type":"text","content":"Xenia"},"company":{"type":"text","content":"Meli Honey"},"logo":{"type":"image","asset":{"type":"url","url":"https://files.example.com/logos/c-1042.png"}}}}','',1.33399999999999985256e+00,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(41,'product-tour','T-200','','',2,'heygen.video','in progress','2888ef99329d955eab36d786a58fe520','2888ef99329d955eab36d786a58fe520','/v3/videos','{"type":"studio","title":"the Ridge tent","resolution":"1080p","scenes":[{"type":"avatar_video","input":{"type":"avatar","avatar_id":"look_abigail_office","voice_id":"voice_anna","script":"This is the Ridge tent.","background":{"type":"color","color":"#1F3A2E"}}},{"type":"image","source":{"type":"url","url":"https://files.example.com/products/t-200.jpg"},"voice_id":"voice_anna","script":"Two people and four kilos less to carry."},{"type":"video","source":{"type":"url","url":"https://files.example.com/videos/outro.mp4"},"playback":{"volume":0.4}}]}','',3.3349999999999996314e-01,1,'',0,0,0.0,'');
INSERT INTO "tasks" VALUES(42,'product-tour','J-310','','',3,'heygen.video','in progress','9b1786a73b58c70b4587f13a6a662254','9b1786a73b58c70b4587f13a6a662254','/v3/videos','{"type":"studio","title":"the Harbour jacket","resolution":"1080p","scenes":[{"type":"avatar_video","input":{"type":"avatar","avatar_id":"look_abigail_office","voice_id":"voice_anna","script":"This is the Harbour jacket.","background":{"type":"color","color":"#23304A"}}},{"type":"image","source":{"type":"url","url":"https://files.example.com/products/j-310.jpg"},"voice_id":"voice_anna","script":"Rain stays out, warmth stays in."},{"type":"video","source":{"type":"url","url":"https://files.example.com/videos/outro.mp4"},"playback":{"volume":0.4}}]}','',0.2668,1,'',0,0,0.0,'');
CREATE INDEX tasks_by_state ON tasks (job, state, row_number, task_id);
CREATE INDEX tasks_blocked ON tasks (job, row_id) WHERE ready = 0;
CREATE INDEX attempts_open ON attempts (state, account) WHERE state IN ('sending', 'in progress', 'unsure');
CREATE INDEX attempts_by_id ON attempts (remote_id) WHERE remote_id <> '';
CREATE INDEX attempts_timed ON attempts (account, operation, completed_at) WHERE took_s IS NOT NULL;
CREATE INDEX sends_by_time ON sends (account, at);
CREATE INDEX sends_under_way ON sends (submission_id) WHERE answered = 0;
CREATE INDEX moves_by_task ON moves (task_id);
CREATE INDEX needs_by_digest ON needs (digest);
CREATE INDEX attempts_batched ON attempts (submission_id, place) WHERE place IS NOT NULL;
CREATE INDEX submissions_batches ON submissions (key) WHERE batch_id <> '';
COMMIT;
