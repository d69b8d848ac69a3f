"""Problems of two or three steps: bonds, shares, funds, wealth and risk."""

from sheet import nice, who, worked


@worked("bonds", "two-year-price", "yield-to-maturity")
def two_year_price(k, s):
    c, y = k.pick([3, 4, 5, 6]), k.pick([2, 3, 4, 5, 6])
    a = s.line("第一年利息的现值", "Present value of year one", f"{c} ÷ (1 + {y}%)")
    b = s.line("第二年本息的现值", "Present value of year two", f"({c} + 100) ÷ (1 + {y}%)^2")
    s.line("价格", "Price", f"{a} + {b}")
    s.say("票面利率高于收益率，价格高于面值。" if c > y else ("票面利率低于收益率，价格低于面值。" if c < y else "票面利率等于收益率，价格约等于面值。"),
          "The coupon is above the yield, so the price is above par." if c > y else ("The coupon is below the yield, so the price is below par." if c < y else "Coupon and yield are equal, so the price is about par."))
    return (
        [f"面值100元、每年付息一次、票面利率{c}%的债券还剩两年，市场收益率{y}%，价格应为多少？与面值相比如何？",
         f"两年期附息债券：面值100元，票息{c}%，到期收益率{y}%。分步求价格，并说明是溢价还是折价。"],
        [f"A bond with face value $100 and a {c}% yearly coupon has two years left; the market yield is {y}%. What is its price, and how does it compare with par?",
         f"Two-year coupon bond: face $100, coupon {c}%, yield to maturity {y}%. Find the price step by step and say whether it is above or below par."])


@worked("bonds", "full-price", "accrued-interest")
def full_price(k, s):
    c, days, clean = k.pick(["3.6", "4.5", "5.4", "7.2"]), k.pick([50, 80, 100, 150, 200]), k.pick([97, 98, "99.5", "101.2", 103])
    a = s.line("应计利息", "Accrued interest", f"100 × {c}% × {days} ÷ 360")
    s.line("全价", "Full price", f"{clean} + {a}")
    return (
        [f"债券面值100元，票面利率{c}%，上次付息后已过{days}天，一年按360天计，净价{clean}元，买方实际支付多少？",
         f"净价{clean}元的债券，票息{c}%，计息{days}天（按360天一年）。求应计利息和全价。"],
        [f"A bond of face $100 with a {c}% coupon last paid interest {days} days ago (360-day year). Its clean price is ${clean}. What does a buyer pay?",
         f"Clean price ${clean}, coupon {c}%, {days} days of interest on a 360-day year and face value $100. Find accrued interest and full price."])


@worked("bonds", "bond-held", "bond-holding-return")
def bond_held(k, s):
    buy, c = k.pick([95, 96, 98, 100, 104]), k.pick([3, 4, 5])
    sell = buy + k.pick([-3, -1, 2, 4])
    d = s.line("价差", "Price change", f"{sell} − {buy}")
    g = s.line("总收益", "Total gain", f"{d} + {c}" if d >= 0 else f"{c} − {-d}")
    s.line("持有期收益率", "Holding-period return", f"{g} ÷ {buy}", "percent")
    return (
        [f"以{buy}元买入面值100元、票面利率{c}%的债券，持有一年收到利息后以{sell}元卖出，收益率是多少？",
         f"债券买价{buy}元，一年后收息{c}元并按{sell}元卖出。分步计算持有期收益率。"],
        [f"A bond with face value $100 and a {c}% coupon is bought at ${buy} and sold a year later, after the coupon, at ${sell}. What is the return?",
         f"Bought at ${buy}, one coupon of ${c}, sold at ${sell} after a year. Work out the holding-period return."])


@worked("bonds", "conversion-premium", "convertible-bond")
def conversion_premium(k, s):
    conv, share, price = k.pick([10, 20, 8, 12.5]), k.pick([9, 11, 15, 18, 7]), k.pick([108, 112, 120, 150, 180])
    conv = nice(str(conv))
    n = s.line("每张可换股数", "Shares per bond", f"100 ÷ {conv}", "share")
    v = s.line("转换价值", "Conversion value", f"{n} × {share}")
    if price <= v:
        price = int(v) + 12
    d = s.line("溢价", "Premium", f"{price} − {v}")
    s.line("转股溢价率", "Premium rate", f"{d} ÷ {v}", "percent")
    return (
        [f"可转债面值100元，转股价{conv}元，正股现价{share}元，转债市价{price}元。转换价值和转股溢价率各是多少？",
         f"一张面值100元的可转债按每股{conv}元转股，股价{share}元，债券价格{price}元，求溢价率。"],
        [f"A convertible of face $100 converts at ${conv} a share. The share is at ${share} and the bond at ${price}. What are its conversion value and premium rate?",
         f"Face $100, conversion price ${conv}, share price ${share}, bond price ${price}: find the conversion premium."])


@worked("bonds", "spread-income", "credit-spread")
def spread_income(k, s):
    a, g = k.pick(range(50000, 300001, 50000)), k.pick(["2.1", "2.4", "2.8", 3])
    x = nice(f"{g} + {k.pick(['0.8', '1.2', '1.5', '2.2'])}")
    d = s.line("信用利差", "Credit spread", f"{x} − {g}", "point")
    v = s.line("每年多收利息", "Extra interest a year", f"{a} × {d}%")
    s.line("三年合计", "Over three years", f"{v} × 3")
    s.say("这部分收益是对违约风险的补偿。", "This is pay for the risk of default.")
    return (
        [f"三年期国债收益率{g}%，同期限企业债{x}%。按面值买入{a}元企业债，三年比国债多收多少利息？为什么会多？",
         f"企业债收益率{x}%，国债{g}%，期限都是三年，投资{a}元。求信用利差和多得的利息。"],
        [f"Three-year government bonds yield {g}% and corporate bonds {x}%. How much more interest does ${a} of the corporate bonds at par earn over three years, and why?",
         f"A corporate bond yields {x}% and a government bond {g}%, both for three years. For ${a}, find the credit spread and the extra interest."])


@worked("bonds", "duration-loss", "duration")
def duration_loss(k, s):
    a, d, r = k.pick(range(100000, 600001, 50000)), k.pick([2, 4, 5, 7]), k.pick(["0.2", "0.3", "0.4", "0.5"])
    q = s.line("价格跌幅约", "Price fall, about", f"{d} × {r}%", "percent")
    v = s.line("市值损失约", "Loss of value, about", f"{a} × {q}%")
    s.line("剩余市值约", "Value left, about", f"{a} − {v}")
    return (
        [f"债券组合市值{a}元，修正久期{d}，收益率上升{r}个百分点，市值大约损失多少，还剩多少？",
         f"用久期估算：组合{a}元，修正久期{d}，利率上行{r}个百分点后的市值。"],
        [f"A bond portfolio is worth ${a} with a modified duration of {d}. If yields rise {r} percentage points, about how much is lost and what is left?",
         f"Estimate by duration the value of a ${a} portfolio with modified duration {d} after yields rise by {r} points."])


@worked("bonds", "call-choice", "callable-bond")
def call_choice(k, s):
    a, c, new, fee = k.pick([100, 200, 300, 500]), k.pick([6, "6.5", 7]), k.pick([4, "4.5", 5]), k.pick([1, 2])
    d = s.line("每年少付利息", "Interest saved a year", f"{a} × ({c}% − {new}%)", "wan")
    p = s.line("赎回溢价", "Call premium", f"{a} × {fee}%", "wan")
    s.line("三年净节省", "Net saving over three years", f"{d} × 3 − {p}", "wan")
    return (
        [f"公司有{a}万元可赎回债券，票面利率{c}%，还剩三年，赎回需付面值{fee}%的溢价。若能以{new}%重新发债，不计贴现，三年净省多少？",
         f"可赎回债券余额{a}万元，利率{c}%，市场利率降到{new}%，赎回溢价{fee}%，剩余三年。赎回再融资合算吗？"],
        [f"A company has ${a} thousand of callable bonds at {c}% with three years left; calling them costs a premium of {fee}%. If it can borrow at {new}%, what is saved over three years without discounting?",
         f"Callable bonds of ${a} thousand pay {c}%, new ones would pay {new}%, the call premium is {fee}% and three years remain. Is calling worthwhile?"])


@worked("stocks", "round-trip", "trading-cost")
def round_trip(k, s):
    n, buy, f = k.pick([200, 500, 1000, 2000]), k.pick([8, 12, 15, 20, 25]), k.pick(["0.1", "0.2", "0.25"])
    sell = buy + k.pick([1, 2, 3])
    a = s.line("买入支出", "Paid", f"{n} × {buy} × (1 + {f}%)")
    b = s.line("卖出收入", "Received", f"{n} × {sell} × (1 − {f}%)")
    s.line("净盈利", "Net profit", f"{b} − {a}")
    return (
        [f"以{buy}元买入{n}股，再以{sell}元全部卖出，买卖各按成交额收{f}%佣金，不计其他税费，净赚多少？",
         f"{n}股股票买价{buy}元、卖价{sell}元，双边佣金率{f}%。扣除佣金后盈利多少？"],
        [f"{n} shares are bought at ${buy} and sold at ${sell}. Commission is {f}% of the value each way and there are no other costs. What is the net profit?",
         f"Buy {n} shares at ${buy}, sell at ${sell}, pay {f}% commission on both trades. What is left as profit?"])


@worked("stocks", "dividend-again", "dividend")
def dividend_again(k, s):
    (z, e), n, d, t, p = who(k), k.pick(range(1000, 6001, 500)), k.pick(["0.4", "0.5", "0.8", "1.2"]), k.pick([10, 20]), k.pick([16, 20, 25])
    a = s.line("税前股利", "Dividend before tax", f"{n} × {d}")
    b = s.line("税后股利", "After tax", f"{a} × (1 − {t}%)")
    s.line("可再买", "Buys", f"{b} ÷ {p}", "share")
    return (
        [f"{z}持有{n}股，每股派息{d}元，假设股利税率{t}%，税后按每股{p}元再投资，理论上可再买多少股？",
         f"每股现金股利{d}元，持股{n}股，税率{t}%，再投资价格{p}元。税后股利能买多少股（允许零碎股）？"],
        [f"{e} holds {n} shares paying ${d} each. With a {t}% tax on dividends and a share price of ${p}, how many shares can the net dividend buy in theory?",
         f"A dividend of ${d} a share on {n} shares is taxed at {t}% and reinvested at ${p}. How many shares, fractions allowed, does it buy?"])


@worked("stocks", "split-value", "stock-split")
def split_value(k, s):
    n, p, m = k.pick([100, 200, 300, 600]), k.pick([60, 90, 120, 180, 240]), k.pick([2, 3, 4, 5])
    a = s.line("拆分后股数", "Shares after the split", f"{n} × {m}", "share")
    b = s.line("理论股价", "Theoretical price", f"{p} ÷ {m}")
    s.line("持股市值", "Value held", f"{a} × {b}")
    return (
        [f"持有{n}股，股价{p}元，公司实施1拆{m}。拆分后有多少股、理论股价多少、市值有没有变？",
         f"股票1拆{m}：原来{n}股、每股{p}元。求拆后股数、参考价和市值。"],
        [f"Someone holds {n} shares at ${p} when the company splits 1 into {m}. How many shares, at what theoretical price, and has the value changed?",
         f"A 1-for-{m} split: {n} shares at ${p} before. Find shares, reference price and value afterwards."])


@worked("stocks", "cap-and-multiple", "market-capitalization")
def cap_and_multiple(k, s):
    n, p, e = k.pick(range(200, 1001, 100)), k.pick([6, 9, 12, 15, 18]), k.pick(["0.3", "0.5", "0.6", "0.75"])
    a = s.line("市值", "Market capitalization", f"{n} × {p}", "wan")
    b = s.line("净利润", "Net profit", f"{n} × {e}", "wan")
    s.line("市盈率", "P/E ratio", f"{a} ÷ {b}", "times")
    return (
        [f"公司总股本{n}万股，股价{p}元，每股收益{e}元。市值、净利润和市盈率各是多少？",
         f"{n}万股、每股{p}元、每股盈利{e}元，请依次算出总市值、利润总额和市盈率。"],
        [f"A company has {n} thousand shares at ${p} and earns ${e} per share. What are its market value, profit and P/E ratio?",
         f"{n} thousand shares, price ${p}, earnings of ${e} each: find capitalization, total profit and the P/E in turn."])


@worked("stocks", "price-after-dividend", "ex-dividend-date")
def price_after_dividend(k, s):
    p, d = k.pick([12, 18, 24, 30, 42]), k.pick(["0.6", "0.9", "1.2", "1.5"])
    n = k.pick([300, 500, 800])
    a = s.line("除息参考价", "Reference price", f"{p} − {d}")
    b = s.line("持股市值", "Value of the shares", f"{n} × {a}")
    c = s.line("收到现金", "Cash received", f"{n} × {d}")
    s.line("合计", "Together", f"{b} + {c}")
    s.say(f"不计税费，与除息前的{nice(f'{n} × {p}')}元相同。", f"Before tax this equals the ${nice(f'{n} × {p}')} before the ex-date.")
    return (
        [f"股价{p}元，每股派息{d}元，持有{n}股。除息日参考价是多少？不计税费，除息前后总财富变了吗？",
         f"登记日收盘价{p}元，每股现金红利{d}元。{n}股的股东除息后市值加现金是多少？"],
        [f"A share at ${p} pays ${d}; someone holds {n}. What is the reference price on the ex-date, and has total wealth changed before tax?",
         f"The price on the record date is ${p} and the dividend ${d}. What do {n} shares plus cash come to after the ex-date?"])


@worked("stocks", "short-result", "short-selling")
def short_result(k, s):
    n, p, q, r, days = k.pick([200, 500, 800]), k.pick([30, 40, 50]), k.pick([24, 27, 36, 44, 55]), k.pick([6, 8]), k.pick([45, 60, 90])
    a = s.line("卖出所得", "Sale proceeds", f"{n} × {p}")
    b = s.line("买回支出", "Cost of buying back", f"{n} × {q}")
    c = s.line("借券费用", "Borrowing fee", f"{a} × {r}% × {days} ÷ 360")
    win = a > b + c
    s.line("净盈利" if win else "净亏损", "Net profit" if win else "Net loss", f"{a} − {b} − {c}" if win else f"{b} + {c} − {a}")
    return (
        [f"以{p}元卖空{n}股，{days}天后以{q}元买回，借券年费率{r}%（按卖出金额、360天计），结果盈亏多少？",
         f"卖空{n}股：卖价{p}元，买回价{q}元，持有{days}天，融券费率{r}%。不计其他费用求盈亏。"],
        [f"{n} shares are sold short at ${p} and bought back at ${q} after {days} days. Borrowing costs {r}% a year of the sale value (360 days). What is the result?",
         f"Short sale of {n} shares: sold at ${p}, bought back at ${q}, {days} days, {r}% borrowing fee on a 360-day year. Profit or loss?"])


@worked("stocks", "two-buys", "average-cost")
def two_buys(k, s):
    a, p, b, q = k.pick([300, 500, 800]), k.pick([16, 20, 24]), k.pick([200, 500, 700]), k.pick([10, 12, 14])
    t = s.line("总成本", "Total cost", f"{a} × {p} + {b} × {q}")
    n = s.line("总股数", "Total shares", f"{a} + {b}", "share")
    c = s.line("平均成本", "Average cost", f"{t} ÷ {n}")
    s.say(f"不计费用，股价回到{c}元即不亏。", f"Without costs the position is even again at ${c}.")
    return (
        [f"先以{p}元买{a}股，跌到{q}元又买{b}股，不计费用，平均成本是多少？股价回到多少才不亏？",
         f"两次买入：{a}股×{p}元、{b}股×{q}元。求持仓均价。"],
        [f"First {a} shares are bought at ${p}, then {b} more at ${q}. Without costs, what is the average cost, at which the position breaks even?",
         f"Two purchases: {a} shares at ${p} and {b} shares at ${q}. Find the average price paid."])


@worked("stocks", "after-buyback", "share-buyback")
def after_buyback(k, s):
    n, e, q = k.pick([200, 400, 500, 800]), k.pick(["0.5", "0.8", 1, "1.2"]), k.pick([5, 10, 20])
    a = s.line("净利润", "Net profit", f"{n} × {e}", "wan")
    left = nice(f"{n} × (1 − {q}%)")
    s.say(f"剩余股数 = {n} × (1 − {q}%) = {left}万股。", f"Shares left = {n} × (1 − {q}%) = {left} thousand.")
    s.line("新的每股收益", "New earnings per share", f"{a} ÷ {left}")
    return (
        [f"公司有{n}万股，每股收益{e}元，回购并注销{q}%的股份，若净利润不变，每股收益变成多少？",
         f"净利润不变，总股本{n}万股减少{q}%，原每股收益{e}元。回购后的每股收益是多少？"],
        [f"A company with {n} thousand shares earns ${e} a share and buys back and cancels {q}% of them. If profit stays the same, what is the new figure per share?",
         f"Profit is unchanged while {n} thousand shares shrink by {q}%; earnings were ${e} each. What are they after the buyback?"])


@worked("stocks", "book-multiple", "price-book-ratio")
def book_multiple(k, s):
    assets, debt, n, p = k.pick([900, 1200, 1600]), k.pick([300, 400, 500, 700]), k.pick([50, 100, 200]), k.pick([9, 12, 15])
    a = s.line("净资产", "Net assets", f"{assets} − {debt}", "wan")
    b = s.line("每股净资产", "Book value per share", f"{a} ÷ {n}")
    s.line("市净率", "P/B ratio", f"{p} ÷ {b}", "times")
    return (
        [f"公司资产{assets}万元，负债{debt}万元，股本{n}万股，股价{p}元，市净率是多少？",
         f"由资产{assets}万元、负债{debt}万元、{n}万股和股价{p}元，分步算出每股净资产与市净率。"],
        [f"Assets are ${assets} thousand, liabilities ${debt} thousand, shares {n} thousand at ${p}. What is the P/B ratio?",
         f"From assets of ${assets} thousand, debts of ${debt} thousand, {n} thousand shares and a price of ${p}, find book value per share and P/B."])


@worked("funds", "three-months", "regular-investment-plan")
def three_months(k, s):
    a = k.pick([600, 1200, 1800, 2400])
    p, q, r = k.pick([("1.2", 1, "1.5"), (1, "0.8", "1.2"), (2, "1.6", "1.5"), ("1.5", "1.2", 1)])
    n = s.line("三次份额", "Units bought", f"{a} ÷ {p} + {a} ÷ {q} + {a} ÷ {r}", "unit")
    t = s.line("总投入", "Paid in", f"{a} × 3")
    s.line("平均每份成本", "Average cost per unit", f"{t} ÷ {n}")
    return (
        [f"每月定投{a}元，三个月净值依次为{p}元、{q}元、{r}元，不计费用，一共多少份，平均成本多少？",
         f"基金定投三期，每期{a}元，买入净值{p}、{q}、{r}元。求累计份额与平均成本。"],
        [f"${a} goes into a fund each month at unit values of ${p}, ${q} and ${r}. Without fees, how many units are bought, and at what average cost?",
         f"Three monthly investments of ${a} are made at ${p}, ${q} and ${r} per unit. Find total units and average cost."])


@worked("funds", "fee-gap", "management-fee")
def fee_gap(k, s):
    a, x, y, n = k.pick(range(40000, 200001, 20000)), k.pick(["1.2", "1.5"]), k.pick(["0.15", "0.2", "0.5"]), k.pick([5, 8, 10])
    d = s.line("费率差", "Gap in rates", f"{x} − {y}", "point")
    v = s.line("每年约多付", "Extra cost a year, about", f"{a} × {d}%")
    s.line(f"{n}年约多付", f"Over {n} years, about", f"{v} × {n}")
    return (
        [f"两只基金管理费率分别为{x}%和{y}%，平均持有{a}元、{n}年，费率差大约让人多付多少？",
         f"持有市值平均{a}元，年费率{x}%的基金比{y}%的基金{n}年约多花多少钱（不计复利）？"],
        [f"Two funds charge {x}% and {y}% a year. With ${a} held on average for {n} years, about how much does the gap cost?",
         f"On an average holding of ${a}, how much more does a fund at {x}% a year cost than one at {y}% over {n} years, without compounding?"])


@worked("funds", "discount-rate-fund", "closed-end-fund")
def closed_discount(k, s):
    nav = k.pick(["1.25", "1.6", 2, "2.5"])
    price = nice(f"{nav} × {k.pick([88, 90, 92, 95])}%")
    n = k.pick([2000, 4000, 5000])
    d = s.line("每份折价", "Discount per unit", f"{nav} − {price}")
    s.line("折价率", "Discount rate", f"{d} ÷ {nav}", "percent")
    s.line("买入花费", "Cost of the purchase", f"{n} × {price}")
    return (
        [f"封闭式基金净值{nav}元，市价{price}元。折价率是多少？买{n}份要花多少钱（不计佣金）？",
         f"某封闭式基金单位净值{nav}元、成交价{price}元，求折价率及买入{n}份的金额。"],
        [f"A closed-end fund has a unit value of ${nav} and trades at ${price}. What is the discount, and what do {n} units cost before commission?",
         f"Unit value ${nav}, market price ${price}: find the discount rate and the cost of {n} units."])


@worked("funds", "redeem-profit", "redemption")
def redeem_profit(k, s):
    a, n, q, f = k.pick([8000, 10000, 12000, 15000]), k.pick([8000, 10000]), k.pick(["1.55", "1.6", "1.8"]), k.pick(["0.5", 1])
    g = s.line("赎回总额", "Gross amount", f"{n} × {q}")
    c = s.line("赎回费", "Redemption fee", f"{g} × {f}%")
    b = s.line("到账金额", "Amount received", f"{g} − {c}")
    up = b >= a
    s.line("净盈利" if up else "净亏损", "Net profit" if up else "Net loss", f"{b} − {a}" if up else f"{a} − {b}")
    return (
        [f"当初投入{a}元得到基金{n}份，现按净值{q}元全部赎回，赎回费率{f}%，到账多少、盈亏多少？",
         f"{n}份基金成本{a}元，净值{q}元时赎回，费率{f}%。请算到账金额和净盈亏。"],
        [f"${a} once bought {n} fund units. They are redeemed at ${q} with a {f}% fee. How much arrives, and what is the profit or loss?",
         f"{n} units that cost ${a} are redeemed at ${q} less a {f}% fee. Find the amount received and the result."])


@worked("funds", "daily-yield", "money-market-fund")
def daily_yield(k, s):
    a, y, d = k.pick(range(20000, 120001, 10000)), k.pick(["0.45", "0.52", "0.6", "0.68"]), k.pick([7, 15, 30])
    v = s.line("每天收益", "Gain a day", f"{a} ÷ 10000 × {y}")
    t = s.line(f"{d}天收益", f"Gain over {d} days", f"{v} × {d}")
    s.line("折算年化（不复利）", "Per year without compounding", f"{t} ÷ {a} ÷ {d} × 365", "percent")
    return (
        [f"货币基金每万份日收益{y}元，每份1元，持有{a}元，{d}天收益多少？折算年化收益率多少？假设每天相同、不计复利。",
         f"持有货币基金{a}元，万份收益一直为{y}元，求{d}天的收益和单利年化。"],
        [f"A money market fund earns ${y} a day per 10000 units of $1. What does ${a} earn in {d} days, and what yearly rate is that, if every day is alike and nothing compounds?",
         f"With ${a} in a money market fund earning ${y} a day per 10000 units, find the gain over {d} days and the simple yearly rate."])


@worked("funds", "index-lag", "index-fund")
def index_lag(k, s):
    i0, n0 = k.pick([2000, 2500, 4000]), k.pick(["1.25", "1.6", 2])
    i1 = nice(f"{i0} × {k.pick([106, 108, 112])} ÷ 100")
    n1 = nice(f"{n0} × {k.pick([104, 105])} ÷ 100")
    a = s.line("指数涨幅", "Index gain", f"({i1} − {i0}) ÷ {i0}", "percent")
    b = s.line("基金涨幅", "Fund gain", f"({n1} − {n0}) ÷ {n0}", "percent")
    s.line("落后", "Lag", f"{a} − {b}", "point")
    return (
        [f"一年里指数从{i0}点涨到{i1}点，指数基金净值从{n0}元涨到{n1}元，基金落后指数多少个百分点？",
         f"指数{i0}→{i1}，跟踪它的基金{n0}→{n1}。两者涨幅各多少、差多少？"],
        [f"In a year an index rises from {i0} to {i1} points and the fund following it from ${n0} to ${n1}. By how many points does the fund lag?",
         f"Index: {i0} to {i1}. Fund: ${n0} to ${n1} per unit. What are both gains and the gap?"])


@worked("wealth", "back-to-plan", "asset-allocation")
def back_to_plan(k, s):
    (z, e), q, a = who(k), k.pick([40, 50, 60]), k.pick(range(60000, 160001, 10000))
    b = k.pick(range(20000, a // 2 + 1, 5000))
    t = s.line("总资产", "Total", f"{a} + {b}")
    s.line("股票现占比", "Present weight of shares", f"{a} ÷ {t}", "percent")
    g = s.line("股票目标金额", "Target for shares", f"{t} × {q}%")
    s.line("应卖出股票", "Shares to sell", f"{a} − {g}")
    return (
        [f"{z}的组合里股票{a}元、债券{b}元，目标是股票占{q}%。要恢复目标比例，应卖出多少股票买入债券？",
         f"再平衡：股票{a}元，债券{b}元，股票目标权重{q}%。现在占比多少，应调整多少？"],
        [f"{e} holds ${a} of shares and ${b} of bonds; the plan is {q}% in shares. How much must move from shares to bonds to restore it?",
         f"Rebalance ${a} of shares and ${b} of bonds to a share weight of {q}%. What is the weight now, and what must be sold?"])


@worked("wealth", "family-balance", "net-worth")
def family_balance(k, s):
    h, d, f = k.pick([600000, 900000, 1200000, 1500000]), k.pick([40000, 80000, 150000]), k.pick([30000, 60000, 100000])
    m, c = k.pick([240000, 360000, 480000]), k.pick([20000, 50000])
    a = s.line("总资产", "Total assets", f"{h} + {d} + {f}")
    b = s.line("总负债", "Total debts", f"{m} + {c}")
    s.line("净资产", "Net worth", f"{a} − {b}")
    s.line("资产负债率", "Debt ratio", f"{b} ÷ {a}", "percent")
    return (
        [f"家庭有房产{h}元、存款{d}元、基金{f}元，房贷余额{m}元、车贷{c}元。净资产和资产负债率各是多少？",
         f"资产：房{h}元，存款{d}元，基金{f}元；负债：房贷{m}元，车贷{c}元。求净资产与负债率。"],
        [f"A family owns a home of ${h}, deposits of ${d} and funds of ${f}, and owes ${m} on the mortgage and ${c} on a car. What are its net worth and debt ratio?",
         f"Assets: home ${h}, deposits ${d}, funds ${f}. Debts: mortgage ${m}, car ${c}. Find net worth and debt ratio."])


@worked("wealth", "plan-shares", "budget")
def plan_shares(k, s):
    (z, e), a, x, y = who(k), k.pick(range(6000, 18001, 500)), k.pick([45, 50, 55]), k.pick([20, 25, 30])
    b = s.line("必要开支", "Needs", f"{a} × {x}%")
    c = s.line("可选开支", "Wants", f"{a} × {y}%")
    v = s.line("可储蓄", "Savings", f"{a} − {b} − {c}")
    s.line("储蓄率", "Saving rate", f"{v} ÷ {a}", "percent")
    return (
        [f"{z}月收入{a}元，计划{x}%用于必要开支，{y}%用于可选开支，其余储蓄。每月存多少，储蓄率多少？",
         f"月预算：收入{a}元，必要支出{x}%，弹性支出{y}%。剩下的储蓄是多少元？占比多少？"],
        [f"{e} earns ${a} a month and plans {x}% for needs and {y}% for wants, saving the rest. How much is saved, and what is the rate?",
         f"A monthly budget of ${a}: needs {x}%, wants {y}%. What remains to save, in money and as a share?"])


@worked("wealth", "up-then-down", "annualized-return")
def up_then_down(k, s):
    a, x, y = k.pick([20000, 50000, 80000, 100000]), k.pick([20, 25, 30, 40]), k.pick([10, 20, 25, 30])
    b = s.line("第一年末", "End of year one", f"{a} × (1 + {x}%)")
    c = s.line("第二年末", "End of year two", f"{b} × (1 − {y}%)")
    s.line("两年总收益率", "Return over two years", f"{c} ÷ {a} − 1", "percent")
    s.say("先后涨跌要相乘，不能简单相加。", "Returns of different years multiply; they do not add up.")
    return (
        [f"{a}元投资第一年涨{x}%，第二年跌{y}%，两年后是多少？总收益率是多少？能用{x}%减{y}%来算吗？",
         f"产品第一年收益{x}%，第二年亏损{y}%，投入{a}元。求期末金额和两年总收益率。"],
        [f"${a} gains {x}% in the first year and loses {y}% in the second. What is left, and what is the total return? Is it {x}% less {y}%?",
         f"An investment of ${a} earns {x}% and then loses {y}%. Find the final amount and the two-year return."])


@worked("wealth", "nav-product-value", "floating-nav-product")
def nav_product_value(k, s):
    a, p = k.pick(range(20000, 100001, 10000)), k.pick([1, "1.25", "1.6"])
    q = nice(f"{p} + {k.pick(['−0.03', '0.02', '0.04', '−0.02'])}".replace("+ −", "− "))
    n = s.line("份额", "Units", f"{a} ÷ {p}", "unit")
    v = s.line("当前市值", "Value now", f"{n} × {q}")
    up = v > a
    s.line("盈利" if up else "亏损", "Gain" if up else "Loss", f"{v} − {a}" if up else f"{a} − {v}")
    return (
        [f"净值型理财买入{a}元，买入净值{p}元，现在净值{q}元，不计费用，盈亏多少？",
         f"以净值{p}元申购{a}元净值型产品，净值变为{q}元后市值和盈亏是多少？"],
        [f"${a} was put into a floating-value product at ${p} a unit, which is now at ${q}. Without fees, what is the gain or loss?",
         f"A product bought for ${a} at ${p} per unit now stands at ${q}. Find its value and the result."])


@worked("risk", "borrowed-stake", "leverage")
def borrowed_stake(k, s):
    own, m, r, x = k.pick([50000, 100000, 200000]), k.pick([1, 2]), k.pick([5, 6]), k.pick([12, 10, -10, -12])
    b = own * m
    t = s.line("总投资", "Total invested", f"{own} + {b}")
    i = s.line("利息", "Interest", f"{b} × {r}%")
    if x > 0:
        g = s.line("投资盈利", "Gain on the investment", f"{t} × {x}%")
        v = s.line("净盈利", "Net gain", f"{g} − {i}")
        s.line("自有资金收益率", "Return on own money", f"{v} ÷ {own}", "percent")
    else:
        g = s.line("投资亏损", "Loss on the investment", f"{t} × {-x}%")
        v = s.line("净亏损", "Net loss", f"{g} + {i}")
        s.line("自有资金亏损率", "Loss on own money", f"{v} ÷ {own}", "percent")
    move = (f"上涨{x}%", f"rises {x}%") if x > 0 else (f"下跌{-x}%", f"falls {-x}%")
    return (
        [f"自有资金{own}元，再借{b}元投资，借款年利率{r}%。一年后资产{move[0]}，自有资金的盈亏比例是多少？",
         f"用{own}元本金加{b}元借款（利率{r}%）投资，标的{move[0]}，一年后对本金的影响有多大？"],
        [f"${own} of own money and ${b} borrowed at {r}% are invested for a year, and the asset {move[1]}. What is the result on own money?",
         f"With ${own} own and ${b} borrowed at {r}% a year, what happens to the own stake when the investment {move[1]}?"])


@worked("risk", "two-sharpes", "sharpe-ratio")
def two_sharpes(k, s):
    f = k.pick([2, "2.5", 3])
    (a, va), (b, vb) = k.pick([((8, 10), (12, 20)), ((9, 12), (11, 16)), ((7, 5), (10, 15)), ((13, 20), (8, 8))])
    x = s.line("甲", "Fund A", f"({a} − {f}) ÷ {va}", "number")
    y = s.line("乙", "Fund B", f"({b} − {f}) ÷ {vb}", "number")
    best = "甲" if x > y else "乙"
    s.say(f"{best}的夏普比率更高，单位波动换来的超额收益更多。", f"Fund {'A' if x > y else 'B'} has the higher Sharpe ratio: more excess return per unit of volatility.")
    return (
        [f"无风险利率{f}%。基金甲收益{a}%、波动率{va}%，基金乙收益{b}%、波动率{vb}%。哪只的夏普比率更高？",
         f"比较两只基金：甲年收益{a}%、标准差{va}%，乙年收益{b}%、标准差{vb}%，无风险利率{f}%。"],
        [f"The riskless rate is {f}%. Fund A returned {a}% with volatility {va}%, fund B {b}% with {vb}%. Which has the higher Sharpe ratio?",
         f"Compare A (return {a}%, standard deviation {va}%) and B ({b}%, {vb}%) by Sharpe ratio with a riskless rate of {f}%."])


@worked("risk", "way-back", "maximum-drawdown")
def way_back(k, s):
    a, x = k.pick([40000, 60000, 100000, 150000]), k.pick([10, 20, 25, 40, 50])
    b = s.line("下跌后", "After the fall", f"{a} × (1 − {x}%)")
    g = s.line("需要涨回", "To be regained", f"{a} − {b}")
    s.line("所需涨幅", "Gain required", f"{g} ÷ {b}", "percent")
    return (
        [f"{a}元的投资回撤{x}%后，要涨百分之几才能回本？",
         f"市值从{a}元跌去{x}%，之后需要多大涨幅才能恢复原值？分步计算。"],
        [f"After a drawdown of {x}% on ${a}, what percentage gain brings the money back?",
         f"A holding of ${a} loses {x}%. Work out the rise needed to recover the first value."])


@worked("risk", "loss-expected", "credit-risk")
def loss_expected(k, s):
    a, p, q = k.pick([500, 800, 1000, 2000]), k.pick([1, 2, 3, 4]), k.pick([20, 40, 50, 60])
    n = s.line("违约损失率", "Loss given default", f"1 − {q}%", "percent")
    v = s.line("预期损失", "Expected loss", f"{a} × {p}% × {n}%", "wan")
    s.line("占贷款比例", "As a share of the loans", f"{v} ÷ {a}", "percent")
    return (
        [f"银行有{a}万元同类贷款，预计违约率{p}%，违约后可收回{q}%，预期损失是多少，占贷款的比例是多少？",
         f"敞口{a}万元，违约概率{p}%，回收率{q}%。求预期损失额与损失率。"],
        [f"A bank holds ${a} thousand of similar loans, expects {p}% to default and to recover {q}% of those. What is the expected loss, in money and as a share?",
         f"Exposure ${a} thousand, probability of default {p}%, recovery {q}%: find expected loss and loss rate."])


@worked("risk", "beta-return", "beta")
def beta_return(k, s):
    f, m, b = k.pick([2, 3]), k.pick([7, 8, 9]), k.pick(["0.6", "0.8", "1.2", "1.5"])
    p = s.line("市场风险溢价", "Market risk premium", f"{m} − {f}", "point")
    x = s.line("股票风险溢价", "Premium of the share", f"{b} × {p}", "point")
    s.line("预期收益率", "Expected return", f"{f}% + {x}%", "percent")
    return (
        [f"无风险利率{f}%，市场预期收益率{m}%，股票贝塔{b}，按资本资产定价模型，预期收益率是多少？",
         f"某股票贝塔系数{b}。若无风险利率为{f}%、市场组合预期收益为{m}%，求其要求回报率。"],
        [f"The riskless rate is {f}%, the market is expected to return {m}%, and a share's beta is {b}. What return does the capital asset pricing model give?",
         f"With beta {b}, a riskless rate of {f}% and an expected market return of {m}%, find the required return of the share."])


@worked("risk", "fixed-exchange", "hedging")
def fixed_exchange(k, s):
    a, f, u = k.pick(range(20000, 100001, 10000)), k.pick(["7.1", "7.2"]), k.pick(["6.8", "6.9", "7.4", "7.5"])
    x = s.line("按远期汇率", "At the forward rate", f"{a} × {f}", "home")
    y = s.line("若不锁定", "Without the hedge", f"{a} × {u}", "home")
    up = x > y
    s.line("锁定多得" if up else "锁定少得", "The hedge brought" if up else "The hedge gave up", f"{x} − {y}" if up else f"{y} − {x}", "home")
    s.say("套期保值的目的是消除不确定性，不是赌方向。", "A hedge removes uncertainty; it is not a bet on the direction.")
    return (
        [f"出口商三个月后收到{a}单位外币，已按1外币 = {f}本币卖出远期。到期即期汇率为{u}。与不套保相比结果如何？",
         f"{a}外币货款用远期汇率{f}锁定，到期市场汇率{u}。套保与不套保各得多少本币？"],
        [f"An exporter will receive {a} foreign units in three months and has sold them forward at {f} home units. The spot rate turns out to be {u}. How does this compare with no hedge?",
         f"{a} foreign units are fixed at a forward rate of {f}; at the end the market rate is {u}. What would each way have brought in home units?"])


@worked("risk", "spread-stake", "diversification")
def spread_stake(k, s):
    n, a, x, y = k.pick([5, 8, 10]), k.pick([40000, 80000, 160000]), k.pick([50, 60]), k.pick([4, 5])
    one = s.line("每只投入", "In each", f"{a} ÷ {n}")
    lose = s.line("出事的一只亏损", "Loss on the bad one", f"{one} × {x}%")
    win = s.line("其余盈利", "Gain on the others", f"{one} × ({n} − 1) × {y}%")
    up = win >= lose
    s.line("合计盈利" if up else "合计亏损", "Overall gain" if up else "Overall loss", f"{win} − {lose}" if up else f"{lose} − {win}")
    s.line("若全部押在出事的一只，亏损", "Everything in the bad one would lose", f"{a} × {x}%")
    return (
        [f"{a}元平均买{n}只股票，其中一只跌{x}%，其余各涨{y}%，合计盈亏多少？若全买了下跌的那只呢？",
         f"分散投资的作用：{n}只股票各投相同金额共{a}元，一只亏{x}%，其他都赚{y}%。比较分散与集中两种结果。"],
        [f"${a} is spread evenly over {n} shares. One falls {x}%, the others rise {y}%. What is the overall result, and what if all had been in the falling one?",
         f"Show what spreading does: ${a} in {n} equal parts, one loses {x}%, the rest gain {y}%. Compare with holding only the loser."])
