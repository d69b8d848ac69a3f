"""Consultations about insurance, investing, tax, business and the economy."""

from sheet import nice
from talk import sheet, talk


@talk("insurance", "medical-claim", "co-payment")
def medical_claim(t):
    d, q, loss = t.pick([1000, 2000, 5000]), t.pick([10, 20]), t.pick([18000, 26000, 35000, 48000])
    s = sheet()
    t.turn(["买了医疗险，住院前要注意什么？", "下周要住院，医疗险怎么用？"], ["I have health cover. What should I mind before a hospital stay?", "I go to hospital next week. How do I use my policy?"],
           ["先确认医院和项目是否在保障范围内、要不要提前报案，并保存好病历、发票和费用清单。", "看三处条款：医院范围、责任免除和报案时限。住院后把诊断书、清单和发票原件留好。"],
           ["Check whether the hospital and the treatment are covered and whether notice is needed, and keep reports, invoices and the list of costs.", "Read three clauses: hospitals covered, exclusions, and the time limit for notice. Keep the diagnosis, cost list and original invoices."])
    x = s.line("超过免赔额", "Above the deductible", f"{loss} − {d}")
    v = s.line("保险赔付", "Insurer pays", f"{x} × (1 − {q}%)")
    s.line("自己承担", "You bear", f"{loss} − {v}")
    t.turn([f"出院了，保障范围内的费用{loss}元，免赔额{d}元，其余自付{q}%，能赔多少？"], [f"I am out again: covered costs ${loss}, deductible ${d}, and I pay {q}% of the rest. What do I get?"], "", "", s)
    t.turn(["投保时我没写几年前的一次手术，会有影响吗？", "当初健康告知漏填了一项，怎么办？"], ["I did not mention an operation years ago when I applied. Does it matter?", "I left out an item in the health questions. What now?"],
           ["可能有影响。若被问到而未如实告知，保险公司可能拒赔或解除合同，具体看条款和当地法律。建议主动补充说明，不要在理赔材料里隐瞒。", "请尽快联系保险公司补充告知，听取核保意见。不要改动病历或隐瞒，那样会使问题更严重。"],
           ["It may. If you were asked and did not tell, the insurer might refuse the claim or end the contract, depending on terms and local law. Tell them now and hide nothing in the claim.", "Contact the insurer soon, correct the statement and hear their decision. Never alter records or hide the fact; that makes it worse."])


@talk("insurance", "stop-policy", "whole-life")
def stop_policy(t):
    p, n, v = t.pick([(5000, 4, 9000), (8000, 3, 10000), (6000, 5, 15000), (10000, 4, 21000)])
    s = sheet()
    a = s.line("已缴保费", "Premiums paid", f"{p} × {n}")
    b = s.line("退保损失", "Loss on surrender", f"{a} − {v}")
    s.line("损失比例", "As a share", f"{b} ÷ {a}", "percent")
    t.turn([f"我的终身寿险每年{p}元，缴了{n}年，现在现金价值{v}元。退掉损失多少？", f"每年保费{p}元的终身寿险，已缴{n}年，退保能拿{v}元，亏多少？"],
           [f"My whole-life policy costs ${p} a year; after {n} years its cash value is ${v}. What do I lose by giving it up?", f"I paid ${p} for {n} years and would get ${v} back. How large is the loss?"], "", "", s)
    t.turn(["为什么前几年退保亏这么多？", "钱都去哪儿了？"], ["Why is the loss so large in the first years?", "Where did the money go?"],
           ["前期保费要支付销售和管理费用，还要承担已经提供的身故保障，所以现金价值积累得慢，越往后越接近已缴保费。", "保费的一部分付了佣金和运营成本，一部分买了这几年的保障，剩下的才进入现金价值。"],
           ["Early premiums pay for selling and running the policy and for the cover already given, so cash value builds slowly and catches up later.", "Part went to commission and running costs, part bought cover for these years, and only the rest became cash value."])
    t.turn(["不想全退，又缴不动了，还有别的办法吗？", "除了退保还能怎么处理？"], ["I cannot pay on, but do not want to lose it all. Any other way?", "Is there anything besides surrender?"],
           ["可以询问是否能减额缴清、降低保额、用保单借款周转，或利用宽限期。决定之前先确认有没有替代保障。", "常见选择有减少保额、改为减额缴清和保单贷款，各有代价，请让保险公司书面列出数字再比较。"],
           ["Ask about a paid-up policy with smaller cover, a lower sum insured, a policy loan or the grace period. Make sure you have other cover before deciding.", "Common ways are less cover, a paid-up policy or a policy loan. Each has its price, so ask for the figures in writing and compare."])


@talk("insurance", "how-much-life", "term-life")
def how_much_life(t):
    debt, spend, n, have = t.pick([300000, 400000, 600000]), t.pick([40000, 50000, 60000]), t.pick([8, 10, 12]), t.pick([100000, 150000])
    r = t.pick(["0.8", "1.2", "1.5"])
    s, u = sheet(), sheet()
    t.turn(["我是家里主要的收入来源，该买多少定期寿险？", "有房贷和孩子，寿险保额怎么定？"], ["I earn most of our income. How much term cover do I need?", "We have a mortgage and a child. How do I set the sum insured?"],
           ["可以按需求来算：未还的贷款，加上家人几年的生活费和教育费，减去已有的储蓄和保障。", "思路是：家里若失去这份收入，要还多少债、要花多少钱，再扣掉现有资产。请告诉我几个数字。"],
           ["By need: debts outstanding plus some years of living and school costs, less savings and cover you already have.", "Think what the family must repay and spend without that income, and take off present assets. Give me a few figures."])
    a = s.line("生活费", "Living costs", f"{spend} × {n}")
    b = s.line("总需求", "Total need", f"{a} + {debt}")
    c = s.line("参考保额", "Cover as a guide", f"{b} − {have}")
    t.turn([f"房贷还有{debt}元，家里一年花{spend}元，想保障{n}年，存款{have}元。"], [f"The mortgage is ${debt}, we spend ${spend} a year, want {n} years of it, and have ${have} saved."],
           "不考虑利息和物价：", "Leaving interest and prices aside:", s)
    u.line("年保费", "Yearly premium", f"{c} ÷ 1000 × {r}")
    t.turn([f"如果每千元保额一年收{r}元，一年保费大约多少？"], [f"If each $1000 of cover costs ${r} a year, what is the premium?"], "", "", u,
           "实际费率随年龄、健康和期限不同，以核保结果为准。", "Actual rates vary with age, health and term; the insurer's offer decides.")


@talk("funds", "first-plan", "regular-investment-plan")
def first_plan(t):
    a = t.pick([600, 1200, 2400])
    p, q = t.pick([("1.2", 1), ("1.5", "1.2"), (2, "1.6"), (1, "0.8")])
    s = sheet()
    t.turn(["什么是定投？适合刚入门的人吗？", "同事都在定投基金，我能跟着做吗？"], ["What is a regular plan? Does it suit a beginner?", "My colleagues invest monthly in funds. Should I?"],
           ["定投是按固定日期投入固定金额，跌时买到的份额多，涨时少，能分散买入时点，但不能避免亏损。适合有长期闲钱、能承受波动的人。", "可以，但先备好应急金、还清高息债。定投平滑的是买入成本，市场长期下跌时照样会亏。"],
           ["A fixed sum on fixed dates: more units when prices are low, fewer when high. It spreads the timing but does not prevent losses. It suits long-term money that may fluctuate.", "You may, after a reserve is set aside and dear debts are paid. It evens out the cost, yet in a long fall you still lose."])
    x = s.line("第一个月", "First month", f"{a} ÷ {p}", "unit")
    y = s.line("第二个月", "Second month", f"{a} ÷ {q}", "unit")
    n = s.line("合计份额", "Units in all", f"{x} + {y}", "unit")
    s.line("平均成本", "Average cost", f"{a} × 2 ÷ {n}")
    t.turn([f"我每月投{a}元，第一个月净值{p}元，第二个月{q}元，有多少份？平均成本多少？"], [f"I put in ${a} a month, first at ${p} a unit, then at ${q}. How many units, and at what average cost?"], "不计费用：", "Without fees:", s)
    t.turn(["如果跌了很多，该停掉吗？", "亏了怎么办，要不要马上赎回？"], ["Should I stop after a big fall?", "If it loses, do I redeem at once?"],
           ["先看原因和期限：钱短期不用、基金本身没有问题，下跌正是多买份额的时候；如果已经影响生活或超出承受力，就应减少金额。", "不要只因为下跌就决定。问自己三件事：这笔钱多久后用、基金的投向变了没有、亏损是否影响睡眠和生活。"],
           ["Look at reason and horizon. If the money is not needed soon and the fund is sound, low prices buy more units. If it strains you, put in less.", "Do not decide on the fall alone. Ask when you need the money, whether the fund has changed, and whether the loss strains your life."])


@talk("funds", "fees-matter", "management-fee")
def fees_matter(t):
    a, x, y = t.pick([50000, 80000, 100000]), t.pick(["1.2", "1.5"]), t.pick(["0.2", "0.5"])
    s = sheet()
    t.turn(["买基金要交哪些费？", "基金有哪些成本，我怎么看不到扣费？"], ["What fees does a fund have?", "I never see a fee taken. What does my fund cost?"],
           ["常见的有申购费、赎回费，以及每天从净值里计提的管理费、托管费，有的还有销售服务费。后几种不单独扣款，所以不容易察觉。", "除买卖时的费用外，管理费和托管费按日从基金资产中扣，净值已经是扣完后的数字。"],
           ["Front-end and redemption fees, and management and custody fees taken daily from the assets, sometimes a distribution fee. The daily ones are not charged separately, so they are easy to miss.", "Besides fees on trades, management and custody fees come out of the assets every day; the published value is already after them."])
    u = s.line("较贵的", "The dearer one", f"{a} × {x}%")
    v = s.line("较便宜的", "The cheaper one", f"{a} × {y}%")
    w = s.line("每年相差", "Gap a year", f"{u} − {v}")
    s.line("十年约差", "Over ten years, about", f"{w} × 10")
    t.turn([f"一只年费率{x}%，另一只{y}%，我放{a}元，一年差多少？十年呢？"], [f"One charges {x}% a year, the other {y}%. With ${a}, what is the gap in one year, and in ten?"], "假设金额不变：", "With the amount constant:", s)
    t.turn(["那是不是越便宜越好？", "便宜的基金收益就更高吗？"], ["So is the cheapest always best?", "Does a cheaper fund return more?"],
           ["同类产品之间，低费用是确定的优势；但类型不同、风险不同的基金不能只比费率，还要看投向、规模和跟踪效果。", "不一定，不过费用是少数能事先确定的因素。先选对类型，再在同类里优先考虑费用低的。"],
           ["Among like funds a low fee is a sure advantage. Funds of different kinds cannot be compared by fee alone; look at holdings, size and tracking too.", "Not always, but cost is one of the few things known in advance. Choose the type first, then prefer low cost within it."])


@talk("stocks", "bonus-surprise", "ex-dividend-date")
def bonus_surprise(t):
    p, d, n = t.pick([15, 20, 24, 36]), t.pick(["0.5", "0.8", 1]), t.pick([400, 600, 1000])
    s = sheet()
    t.turn(["我的股票今天明明分红，怎么股价反而跌了？", "分红到账那天股价自动少了一截，是不是亏了？"], ["My share paid a dividend today. Why did the price drop?", "The price was lower on the dividend day. Did I lose?"],
           ["这是除息。公司把现金分出去，每股价值相应减少，参考价会扣掉股利，总财富当下没有变。", "没有凭空亏损：除息日的参考价等于前收盘价减去每股股利，减少的部分变成了你手里的现金。"],
           ["That is the ex-date. The company handed out cash, so each share is worth that much less; your total wealth is unchanged for the moment.", "Nothing vanished: the reference price is the last close less the dividend, and that part is now your cash."])
    a = s.line("参考价", "Reference price", f"{p} − {d}")
    b = s.line("股票市值", "Value of shares", f"{a} × {n}")
    c = s.line("股利", "Dividend", f"{d} × {n}")
    s.line("合计", "Together", f"{b} + {c}")
    t.turn([f"前收盘{p}元，每股派{d}元，我有{n}股，算一下看。"], [f"The last close was ${p}, the dividend ${d}, and I hold {n} shares. Show me."], "不计税费：", "Before tax:", s,
           f"与除息前的{nice(f'{p} × {n}')}元相同。", f"The same as ${nice(f'{p} × {n}')} before.")
    t.turn(["那分红还有什么意义？", "既然没多赚，为什么大家喜欢分红？"], ["What is the point of a dividend, then?", "If nothing is gained, why do people like dividends?"],
           ["它把公司利润变成现金，也说明公司有真实的现金流；长期回报来自公司持续赚钱，而不是除息当天。", "分红让投资者不卖股票也能收到现金，并约束公司别乱花钱。但只看派息高低不够，还要看盈利能否持续。"],
           ["It turns profit into cash and shows that cash is really there. Long-term return comes from earnings, not from the ex-date.", "It brings cash without selling and keeps a company from wasting money. But a high payout alone is not enough; profit must last."])


@talk("stocks", "cost-of-trading", "trading-cost")
def cost_of_trading(t):
    a, f, n = t.pick([10000, 20000, 40000]), t.pick(["0.1", "0.2", "0.25"]), t.pick([2, 4, 5])
    s = sheet()
    t.turn(["我每周都买卖股票，为什么总觉得没赚钱？", "频繁做短线，涨了也没见账户变多，问题在哪？"], ["I trade every week. Why is there never a profit?", "I trade often, prices rise, yet my account does not. Why?"],
           ["常见原因有两个：交易成本累积，以及追涨杀跌。我们可以先把成本算清楚，你每次交易多少、佣金多少？", "先查成本。每次买卖都有佣金、价差，有的地方还有税，次数多了很可观。告诉我金额和费率。"],
           ["Two usual reasons: costs add up, and people buy after rises and sell after falls. Let us work out the cost first. What amount and commission?", "Check the cost first. Each trade has commission, spread and in some places tax. Tell me amount and rate."])
    x = s.line("一次买卖", "One round trip", f"{a} × {f}% × 2")
    y = s.line("一个月", "A month", f"{x} × {n}")
    z = s.line("一年", "A year", f"{y} × 12")
    s.line("占资金", "As a share of the money", f"{z} ÷ {a}", "percent")
    t.turn([f"每次{a}元，单边佣金{f}%，一个月来回{n}次。"], [f"${a} each time, {f}% commission each way, {n} round trips a month."], "", "", s,
           "也就是说，每年先要赚到这个比例才刚好不亏。", "You have to earn that much a year just to break even.")
    t.turn(["那我应该怎么改？", "有没有办法少亏在费用上？"], ["What should I change?", "How can I lose less to costs?"],
           ["减少次数，写下买入理由和卖出条件，只用长期不用的钱，并分散持有。买卖之前先算这一笔的成本。", "可以设定每月交易次数上限，改用低成本的分散产品作为主体，并记录每笔的理由，过一段时间复盘。"],
           ["Trade less, write down why you buy and when you would sell, use only long-term money and spread it. Work out the cost before each trade.", "Set a limit on trades a month, hold a cheap diversified product as the core, and note the reason for each trade to review later."])


@talk("bonds", "rates-and-bonds", "duration")
def rates_and_bonds(t):
    a, d, r = t.pick([50000, 100000, 200000]), t.pick([3, 4, 6]), t.pick(["0.2", "0.3", "0.5"])
    s, u = sheet(), sheet()
    t.turn(["债券基金不是很稳吗，怎么也会跌？", "我买的债基这个月亏了，为什么？"], ["Are bond funds not safe? Why did mine fall?", "My bond fund lost money this month. Why?"],
           ["债券价格会随市场利率变动：利率上升，原有债券的价格下跌，净值就会下降。此外发行人信用变差也会造成下跌。", "多半是市场利率上行。旧债券的票息相对变低，价格就要打折；久期越长，跌得越多。"],
           ["Bond prices move with market rates: when rates rise, existing bonds fall and so does the fund's value. Worse credit of an issuer can do the same.", "Most likely rates went up. Old coupons look low, so prices drop, and the longer the duration the larger the drop."])
    q = s.line("价格跌幅约", "Fall, about", f"{d} × {r}%", "percent")
    v = s.line("损失约", "Loss, about", f"{a} × {q}%")
    t.turn([f"我的债基修正久期{d}，利率升了{r}个百分点，{a}元大概亏多少？"], [f"My fund has a modified duration of {d}; rates rose {r} points. About what do I lose on ${a}?"], "", "", s)
    y = nice(f"{t.pick(['2.5', 3, '3.6'])}")
    m = u.line("每月利息收入约", "Income a month, about", f"{a} × {y}% ÷ 12")
    u.line("弥补需要约", "Made up in about", f"{v} ÷ {m}", "month")
    t.turn([f"如果组合每年利息收入约{y}%，利率不再变，多久能补回来？"], [f"If it earns about {y}% of interest a year and rates stay put, how long until that is made up?"], "粗略估算：", "Roughly:", u,
           "实际还受价格波动、费用和信用事件影响。", "Prices, costs and credit events will change this.")


@talk("wealth", "old-product", "floating-nav-product")
def old_product(t):
    a, r, got = t.pick([(50000, "3.5", 1500), (100000, 4, 3200), (80000, 3, 2000), (60000, "3.2", 1600)])
    s = sheet()
    x = s.line("按基准估算", "By the benchmark", f"{a} × {r}%")
    s.line("实际少", "Less by", f"{x} - {got}".replace("-", "−"))
    s.line("实际收益率", "Actual return", f"{got} ÷ {a}", "percent")
    t.turn([f"我买了{a}元理财，写着业绩比较基准{r}%，一年后只得{got}元，是不是少给了？", f"理财产品基准{r}%，投{a}元一年到手收益{got}元，怎么对不上？"],
           [f"My product of ${a} showed a benchmark of {r}%, but a year brought only ${got}. Was I paid too little?", f"The benchmark said {r}%, I put in ${a} and got ${got} after a year. Why?"],
           "业绩比较基准只是管理人设定的参考，不是承诺：", "A benchmark is a reference set by the manager, not a promise:", s)
    t.turn(["那会不会连本金也亏？", "这种产品有没有可能亏钱？"], ["Can I lose principal as well?", "Is a loss possible?"],
           ["可能。净值型产品随市场涨跌，净值跌破买入价时赎回就会亏损。风险等级和投资范围写在产品说明书里。", "有可能，银行销售不等于银行兜底。看清风险等级、投资方向和能否随时赎回，再决定放多少钱。"],
           ["Yes. Its value follows the market, and redeeming below your purchase value is a loss. The document states risk grade and holdings.", "It is. That a bank sells it does not mean the bank covers losses. Check grade, holdings and redemption before deciding how much."])
    t.turn(["我过半年要用这笔钱，还适合续吗？", "半年后要交房租，这钱还能买吗？"], ["I need the money in six months. Should I renew?", "Rent is due in half a year. May this money stay?"],
           ["先看封闭期和波动。半年内确定要用的钱，优先放在存款或可随时赎回、波动小的产品，避免到时正好亏着卖。", "确定要用的钱不宜承担净值波动，也别买封闭期超过半年的产品，存款类更合适。"],
           ["Look at lock-up and swings. Money needed for sure within half a year belongs in deposits or steady products that can be redeemed at any time.", "Money with a fixed date should not fluctuate or be locked up longer than that; a deposit fits better."])


@talk("wealth", "rebalance-talk", "asset-allocation")
def rebalance_talk(t):
    a, b, q = t.pick([(70000, 30000, 60), (96000, 64000, 50), (130000, 70000, 50), (84000, 36000, 60)])
    s = sheet()
    t.turn(["我去年定的股债比例，现在股票涨了，需要动吗？", "股票涨多了，占比超过计划，要不要管？"], ["Shares rose and are above my planned weight. Should I act?", "I set a mix of shares and bonds last year, and shares have grown. Do I change anything?"],
           ["可以做再平衡：卖出占比偏高的，买入偏低的，让风险回到原定水平。先看偏离多少，小幅偏离不必频繁调整。", "偏离明显时值得调整，否则组合风险会悄悄变大。告诉我现在的金额和目标比例。"],
           ["Rebalancing brings the risk back to plan: sell what is above, buy what is below. Small gaps need no action.", "A clear gap is worth correcting, or risk grows unseen. Give me the amounts and the target."])
    n = s.line("总资产", "Total", f"{a} + {b}")
    s.line("股票占比", "Weight of shares", f"{a} ÷ {n}", "percent")
    g = s.line("目标金额", "Target amount", f"{n} × {q}%")
    s.line("应转出", "To move", f"{a} − {g}")
    t.turn([f"股票{a}元，债券{b}元，目标股票{q}%。"], [f"Shares ${a}, bonds ${b}, target {q}% in shares."], "", "", s)
    t.turn(["股票还在涨，现在卖会不会可惜？", "会不会卖早了？"], ["Shares still rise. Would selling be a pity?", "Might I sell too early?"],
           ["没人能确定涨到哪里。再平衡不是预测市场，而是控制风险；若舍不得，也可以用新增资金去补债券。", "有可能卖早，但它的作用是让亏损时的幅度在你能承受的范围内。可以分几次调整。"],
           ["No one knows where it ends. Rebalancing is not a forecast but a control of risk. You may also put new money into bonds instead.", "Perhaps, but it keeps a later fall within what you can bear. You may do it in several steps."])


@talk("risk", "too-good", "ponzi-scheme")
def too_good(t):
    a, m, n = t.pick([20000, 50000, 80000]), t.pick([3, 5, 8]), t.pick([5, 10])
    s = sheet()
    x = s.line("一年“收益”", "\"Gain\" in a year", f"{a} × {m}% × 12")
    s.line("年收益率", "Yearly rate", f"{x} ÷ {a}", "percent")
    t.turn([f"群里有个项目每月返{m}%，我想投{a}元，一年能拿多少？", f"朋友推荐一个平台，月回报{m}%，投{a}元一年是多少？"],
           [f"A project in a chat group pays {m}% a month. What would ${a} bring in a year?", f"A friend recommends a platform with {m}% a month. How much is that on ${a} in a year?"],
           "按对方的说法：", "By their claim:", s, "这个水平远高于正常投资，请先当作风险信号。", "That is far above any normal investment; treat it as a warning sign first.")
    t.turn(["可是朋友已经拿到几个月的返利了。", "前几个月都准时到账，应该是真的吧？"], ["But my friend has been paid for months.", "The first months were paid on time, so it must be real?"],
           ["早期按时返钱正是常见手法：用后来者的本金支付前面人的收益，一旦新钱不够就停止兑付。", "到账不能证明有真实盈利。请问清钱投向哪里、由谁托管、有没有经营许可；说不清楚就不要投。"],
           ["Paying early members on time is the usual method: money of newcomers pays the old ones until too few join.", "Payment does not prove profit. Ask where the money goes, who holds it and whether there is a licence; without clear answers stay out."])
    t.turn([f"对方还说每拉一个人奖励{n}%，我已经投了一些。", f"介绍人来还能提成{n}%，我已经打过一笔钱了，怎么办？"], [f"They also give {n}% for each person I bring, and I have already paid in.", f"There is a {n}% reward per recruit, and I sent money once. What now?"],
           ["别再追加，也不要拉别人，否则自己可能担责。保存合同、转账和聊天记录，尽快尝试取回，并向当地监管或公安部门报告。", "立即停止投入和推荐。把付款凭证、页面截图留好，联系支付银行，并向执法或监管机构举报。"],
           ["Pay no more and recruit no one, or you may be liable yourself. Keep contracts, transfers and messages, try to withdraw, and report it to the authorities.", "Stop at once. Keep receipts and screenshots, contact your bank and report it to the police or the regulator."])


@talk("risk", "borrow-to-invest", "leverage")
def borrow_to_invest(t):
    own, b, r, x = t.pick([50000, 100000]), t.pick([50000, 100000]), t.pick([5, 6, 8]), t.pick([10, 15, 20])
    s, u = sheet(), sheet()
    n = own + b
    g = s.line("盈利", "Gain", f"({own} + {b}) × {x}%")
    i = s.line("利息", "Interest", f"{b} × {r}%")
    s.line("自有资金收益率", "Return on own money", f"({g} − {i}) ÷ {own}", "percent")
    t.turn([f"我有{own}元，再借{b}元，利率{r}%，如果股票一年涨{x}%，我赚多少？", f"用{own}元本金加{b}元借款（年利率{r}%）买股票，涨{x}%时本金收益率是多少？"],
           [f"I have ${own} and borrow ${b} at {r}%. If shares rise {x}% in a year, what do I earn?", f"With ${own} of mine and ${b} borrowed at {r}%, what is my return if shares gain {x}%?"], "", "", s)
    l = u.line("亏损", "Loss", f"({own} + {b}) × {x}%")
    u.line("自有资金亏损率", "Loss on own money", f"({l} + {i}) ÷ {own}", "percent")
    t.turn([f"那要是跌{x}%呢？"], [f"And if they fall {x}%?"], "利息照样要付：", "Interest is due all the same:", u)
    t.turn(["听起来风险挺大，怎么判断自己该不该借？", "那借钱投资到底行不行？"], ["That sounds risky. How do I judge?", "So should one borrow to invest at all?"],
           [f"杠杆让涨跌都放大，{n}元的资产只要跌得够多，你的{own}元就会全没，还可能被要求追加保证金。多数普通家庭不适合，借来的钱必须还，股价却可能下跌。", "问三个问题：亏光本金还能正常生活吗？下跌时有钱补保证金吗？借款到期时不卖股票能还吗？有一个答不上，就不要借。"],
           [f"Leverage magnifies both ways: if ${n} of assets falls far enough, your ${own} is gone and more margin may be called. It does not suit most households; the loan must be repaid whatever shares do.", "Ask three things: could you live on if your money were gone, could you meet a margin call, and could you repay without selling? If one answer is no, do not borrow."])


@talk("tax", "bonus-tax", "marginal-tax-rate")
def bonus_tax(t):
    lim, lo, hi = t.pick([(60000, 10, 20), (80000, 10, 25), (100000, 15, 30)])
    inc, bonus = lim - t.pick([5000, 10000, 20000]), t.pick([15000, 25000, 30000])
    s, u = sheet(), sheet()
    t.turn(["同事说年终奖会让我进入更高税档，到手反而变少，是真的吗？", "听说收入跨档以后全部收入都按高税率交税？"], ["A colleague says a bonus pushes me into a higher bracket and I end up with less. True?", "Is all my income taxed at the higher rate once I cross a bracket?"],
           ["在超额累进税下不会。只有超过界限的那部分适用高税率，到手的钱仍会增加。个别地方有特殊计税办法，以当地规定为准。", "一般不是。超额累进只对超出的部分用高税率，原来那部分照旧。"],
           ["Not under a bracket system: only the part above the limit bears the higher rate, so you still keep more. Some places have special rules; local rules decide.", "Usually not. Only the excess bears the higher rate; the rest is taxed as before."])
    x = s.line("低档部分", "Part in the lower bracket", f"({lim} − {inc}) × {lo}%")
    y = s.line("高档部分", "Part in the higher bracket", f"({inc} + {bonus} − {lim}) × {hi}%")
    z = s.line("奖金增加的税", "Tax on the bonus", f"{x} + {y}")
    t.turn([f"假设{lim}元以内税率{lo}%，超过部分{hi}%。我原应税所得{inc}元，再发{bonus}元奖金，多缴多少税？"],
           [f"Suppose income up to ${lim} is taxed at {lo}% and the rest at {hi}%. My taxable income is ${inc} and the bonus ${bonus}. How much more tax is that?"], "", "", s)
    u.line("奖金到手", "Bonus after tax", f"{bonus} − {z}")
    t.turn(["那奖金实际到手多少？", "所以奖金我能留下多少？"], ["So what do I keep of the bonus?", "How much of it reaches me?"], "", "", u, "可见收入更高，到手也更多。", "More income still means more in hand.")


@talk("accounting", "shop-profit", "break-even-point")
def shop_profit(t):
    p, v, fixed = t.pick([(20, 8, 9600), (30, 12, 14400), (15, 6, 7200), (25, 10, 12000)])
    d = t.pick([30, 40, 50])
    s, u = sheet(), sheet()
    m = s.line("每份毛利", "Contribution each", f"{p} − {v}")
    n = s.line("每月保平份数", "Break-even a month", f"{fixed} ÷ {m}", "unit")
    s.line("每天约", "A day, about", f"{n} ÷ 30", "unit")
    t.turn([f"我想开小吃店，每份卖{p}元，原料{v}元，房租人工一个月{fixed}元，要卖多少才不亏？", f"小店每份售价{p}元、材料成本{v}元，每月固定支出{fixed}元，不亏要卖多少份？"],
           [f"I plan a snack bar: ${p} a serving, ${v} of ingredients, ${fixed} a month for rent and staff. How many must I sell?", f"A stall sells at ${p}, ingredients cost ${v}, fixed costs are ${fixed} a month. What breaks even?"], "", "", s)
    a = u.line("月销量", "Sales a month", f"{d} × 30", "unit")
    x = u.line("毛利", "Contribution", f"{a} × {m}")
    up = x >= fixed
    u.line("月利润" if up else "月亏损", "Profit a month" if up else "Loss a month", f"{x} − {fixed}" if up else f"{fixed} − {x}")
    t.turn([f"我估计一天能卖{d}份，一个月按30天，是赚是亏？"], [f"I expect {d} servings a day over 30 days. Profit or loss?"], "", "", u)
    t.turn(["怎么才能更快不亏？", "有什么办法让盈亏平衡点低一些？"], ["How can I reach break-even sooner?", "What lowers the break-even point?"],
           ["三个方向：提高单价或搭配销售，降低材料损耗，压低房租等固定支出。先用小范围试卖检验需求，再签长期租约。", "看公式就知道：减少固定成本，或加大每份毛利。涨价会影响销量，最好先小规模测试。"],
           ["Three ways: a higher price or combined offers, less waste, and lower fixed costs such as rent. Test demand on a small scale before a long lease.", "The formula says it: lower fixed cost or a larger margin each. A higher price may cost sales, so test it first."])


@talk("accounting", "paid-later", "working-capital")
def paid_later(t):
    a, b, c, m = t.pick([30, 40]), t.pick([60, 75, 90]), t.pick([20, 30]), t.pick([36000, 54000, 72000])
    s, u = sheet(), sheet()
    t.turn(["公司账上有利润，却总是没钱付款，为什么？", "订单越多越缺现金，是哪里出了问题？"], ["We show a profit but never have cash. Why?", "The more orders, the less cash. What is wrong?"],
           ["利润按权责发生制计算，货款没收到也算收入。先付材料钱、后收货款，中间的时间差就要垫资，增长越快垫得越多。", "多半卡在周转上：货压在仓库、客户账期长，而供应商要得急。算一下现金周转期就清楚了。"],
           ["Profit counts sales before the money arrives. You pay for material first and are paid later, and growth widens that gap.", "Most likely turnover: stock lies, customers pay late, suppliers want it soon. The cash cycle shows it."])
    n = s.line("现金周转期", "Cash cycle", f"{a} + {b} − {c}", "day")
    x = s.line("占用资金约", "Money tied up, about", f"{m} ÷ 30 × {n}")
    t.turn([f"存货压{a}天，客户{b}天付款，供应商给{c}天账期，每月采购支出{m}元，要垫多少？"], [f"Stock takes {a} days, customers pay in {b}, suppliers give {c}, and purchases are ${m} a month. How much do we carry?"], "每月按30天：", "With 30 days a month:", s)
    y = u.line("缩短后占用", "Tied up then", f"{m} ÷ 30 × ({n} − 15)")
    u.line("释放资金", "Released", f"{x} − {y}")
    t.turn(["如果能让客户早15天付款呢？", "把收款缩短15天，能腾出多少钱？"], ["And if customers paid 15 days sooner?", "What does collecting 15 days earlier release?"], "", "", u,
           "可以用预收款、早付折扣或分期交货来争取。", "Deposits, a discount for early payment or staged delivery can help.")


@talk("macro", "exchange-trip")
def exchange_trip(t):
    f, r, new = t.pick([(1000, "7.2", "7.4"), (2000, "1.25", "1.3"), (3000, "6.5", "6.4"), (1500, "8.4", "8.2")])
    s, u = sheet(), sheet()
    x = s.line("现在需要", "Needed now", f"{f} × {r}", "home")
    t.turn([f"下个月出国要{f}单位外币，汇率{r}，现在换要多少本币？", f"我要换{f}外币，牌价{r}，得准备多少本币？"],
           [f"I need {f} foreign units next month. At {r} home units each, what does it cost now?", f"I want to change for {f} foreign units at {r}. How much home currency is that?"], "", "", s)
    y = u.line("那时需要", "Needed then", f"{f} × {new}", "home")
    up = y > x
    u.line("多付" if up else "少付", "More by" if up else "Less by", f"{y} − {x}" if up else f"{x} − {y}", "home")
    t.turn([f"如果到时候变成{new}呢？"], [f"And if it becomes {new} by then?"], "", "", u)
    t.turn(["那你觉得下个月会涨还是会跌？", "能告诉我什么时候换最划算吗？"], ["Will it rise or fall next month?", "Can you tell me the best day to change?"],
           ["汇率受利率、贸易和消息影响，没人能可靠预测。确定要用的钱可以分两三次换，减少赶上高价的可能，不要为猜方向耽误行程。", "我说不准，也不建议赌方向。可以分批兑换取平均价，并比较银行和刷卡的费用。"],
           ["Rates follow interest, trade and news, and no one forecasts them reliably. Change money you surely need in two or three parts rather than guess.", "I cannot tell, and I would not bet on it. Change in parts for an average rate, and compare fees of banks and cards."])


@talk("macro", "rate-news", "monetary-policy")
def rate_news(t):
    a, r, u_ = t.pick([300000, 500000, 800000]), t.pick(["3.8", "4.2", "4.6"]), t.pick(["0.2", "0.25", "0.5"])
    s = sheet()
    t.turn(["新闻说央行下调了政策利率，和我有什么关系？", "央行降息，会影响普通家庭吗？"], ["The central bank cut its rate. What is that to me?", "Does a rate cut touch ordinary families?"],
           ["它会逐步影响存款和贷款利率：新存款利息可能变少，浮动利率贷款的负担可能减轻，具体要看合同的重定价日。", "有影响，但不是立刻：浮动利率贷款在重定价时可能下降，固定利率贷款不变，存款利率也可能走低。"],
           ["It works through to deposits and loans: new deposits may pay less and floating loans may get cheaper, at the reset date of the contract.", "It does, though not at once: floating loans may fall at their reset, fixed ones stay, and deposit rates may go down."])
    x = s.line("原来每年利息", "Interest a year before", f"{a} × {r}%")
    n = s.line("新利率", "New rate", f"{r}% − {u_}%", "percent")
    y = s.line("调整后", "After", f"{a} × {n}%")
    s.line("每年少付", "Less by", f"{x} − {y}")
    t.turn([f"我的浮动利率贷款还有{a}元本金，利率{r}%，如果跟着降{u_}个百分点，一年省多少利息？"], [f"I owe ${a} at a floating {r}%. If it follows by {u_} points, what do I save in a year?"], "暂不考虑本金逐月减少：", "Leaving aside that principal falls:", s)
    t.turn(["那接下来还会继续降吗？", "半年后利率会是多少？"], ["Will it be cut again?", "What will the rate be in half a year?"],
           ["以后的利率没人能提前知道，取决于物价、就业等情况。做计划时可以分别试算利率上升、不变和下降三种情形。", "无法给出具体数字。稳妥的做法是按利率略升也还得起来安排，多出来的当作余量。"],
           ["No one knows; it depends on prices, jobs and more. Plan for three cases: higher, equal and lower.", "I cannot name a figure. Plan so that you could pay a little more, and treat anything better as a margin."])
