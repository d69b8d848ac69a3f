"""Computed problems of bonds, stocks, funds, wealth and risk."""

from exact import F, comma as c, plain as p, result
from problem import Problem, kind, money

RATES = [F("1.5"), F(2), F("2.4"), F(3), F("3.5"), F(4), F("4.5"), F(5), F(6)]


@kind("bonds", "coupon-payment", "coupon-rate")
def coupon_payment(k):
    face, r = k.pick(range(1000, 50001, 1000)), k.pick(RATES)
    v = face * r / 100
    z, e = money(v)
    return Problem(
        [f"债券面值{p(face)}元，票面利率{p(r)}%，每年付息多少元？",
         f"持有面值合计{p(face)}元、票面年利率{p(r)}%的债券，一年能收多少利息？"],
        [f"A bond has a face value of ${c(face)} and a coupon rate of {p(r)}%. What is the annual coupon?",
         f"How much interest a year do bonds with ${c(face)} face value and a {p(r)}% coupon pay?"],
        f"年利息 = 面值 × 票面利率 = {p(face)} × {p(r)}% {z}。",
        f"Annual coupon = face value × coupon rate = {c(face)} × {p(r)}% {e}.",
        v)


@kind("bonds", "current-yield-rate", "current-yield")
def current_yield_rate(k):
    price = k.pick([80, 90, 95, 96, 98, 102, 104, 105, 110, 120])
    r = k.pick([F(3), F(4), F(5), F(6)])
    v = r * 100 / price
    return Problem(
        [f"债券面值100元，票面利率{p(r)}%，现价{price}元，当期收益率是多少？",
         f"某债券每年付息{p(r)}元，市场价格{price}元，求当期收益率。"],
        [f"A bond with face value $100 and a {p(r)}% coupon trades at ${price}. What is its current yield?",
         f"A bond pays ${p(r)} a year and costs ${price}. Find the current yield."],
        f"当期收益率 = 年利息 ÷ 现价 = {p(r)} ÷ {price} {result(v)}%。",
        f"Current yield = annual coupon ÷ price = {p(r)} ÷ {price} {result(v)}%.",
        v, "percent", [r, r * price / 100, r + 100 - price if r + 100 - price > 0 else r * 2])


@kind("bonds", "zero-price", "zero-coupon-bond")
def zero_price(k):
    face, r, t = k.pick([100, 1000, 10000]), k.pick([F(2), F(3), F(4), F(5), F(6)]), k.pick([2, 3, 5])
    g = 1 + r / 100
    v = face / g**t
    z, e = money(v)
    return Problem(
        [f"零息债券面值{p(face)}元，{t}年后到期，要求收益率{p(r)}%，合理价格是多少？",
         f"{t}年期零息债券到期支付{p(face)}元，年收益率{p(r)}%，求现在的价格。"],
        [f"A zero-coupon bond pays ${c(face)} in {t} years. What is its price at a yield of {p(r)}%?",
         f"Find the price of a {t}-year zero-coupon bond with face value ${c(face)} and a {p(r)}% yearly yield."],
        f"价格 = 面值 ÷ (1 + 收益率)^年数 = {p(face)} ÷ {p(g)}^{t} {z}。",
        f"Price = face value ÷ (1 + yield)^years = {c(face)} ÷ {p(g)}^{t} {e}.",
        v)


@kind("bonds", "duration-move", "duration")
def duration_move(k):
    d, r = k.pick([F(2), F(3), F(4), F(5), F(6), F(8)]), k.pick([F("0.2"), F("0.25"), F("0.5"), F(1)])
    v = d * r
    return Problem(
        [f"债券修正久期为{p(d)}，收益率上升{p(r)}个百分点，价格大约下跌多少？",
         f"某债券修正久期{p(d)}年，市场收益率上行{p(r)}个百分点，估算价格跌幅。"],
        [f"A bond has a modified duration of {p(d)}. If yields rise {p(r)} percentage points, about how much does it fall?",
         f"Estimate the price fall of a bond with modified duration {p(d)} when yields rise {p(r)} percentage points."],
        f"价格跌幅 ≈ 修正久期 × 收益率上升幅度 = {p(d)} × {p(r)}% = {p(v)}%。",
        f"Price fall ≈ modified duration × rise in yield = {p(d)} × {p(r)}% = {p(v)}%.",
        v)


@kind("stocks", "pe-ratio", "price-earnings-ratio")
def pe_ratio(k):
    eps, v = k.pick([F("0.5"), F("0.8"), F(1), F("1.25"), F("1.6"), F(2), F("2.5"), F(3)]), F(k.pick(range(8, 41)))
    price = eps * v
    return Problem(
        [f"股价{p(price)}元，每股收益{p(eps)}元，市盈率是多少？",
         f"某公司每股收益为{p(eps)}元，股票价格为{p(price)}元，求市盈率。",
         f"一只股票现价{p(price)}元，过去一年每股盈利{p(eps)}元，市盈率为多少倍？"],
        [f"A share costs ${p(price)} and earns ${p(eps)} per share. What is its P/E ratio?",
         f"Earnings per share are ${p(eps)} and the share price is ${p(price)}. Find the P/E ratio.",
         f"What P/E does a share at ${p(price)} have if it earned ${p(eps)} per share last year?"],
        f"市盈率 = 股价 ÷ 每股收益 = {p(price)} ÷ {p(eps)} = {p(v)}倍。",
        f"P/E = share price ÷ earnings per share = {p(price)} ÷ {p(eps)} = {p(v)}.",
        v, "times", [price, v / 2, v + eps * 2])


@kind("stocks", "pb-ratio", "price-book-ratio")
def pb_ratio(k):
    book, v = k.pick([F(2), F(4), F(5), F(8), F(10), F("12.5")]), k.pick([F("0.8"), F("1.2"), F("1.5"), F(2), F("2.5"), F(3)])
    price = book * v
    return Problem(
        [f"股价{p(price)}元，每股净资产{p(book)}元，市净率是多少？",
         f"每股净资产为{p(book)}元的股票卖{p(price)}元，市净率为多少倍？"],
        [f"A share trades at ${p(price)} with book value ${p(book)} per share. What is its P/B ratio?",
         f"Book value per share is ${p(book)} and the price is ${p(price)}. Find the price-to-book ratio."],
        f"市净率 = 股价 ÷ 每股净资产 = {p(price)} ÷ {p(book)} = {p(v)}倍。",
        f"P/B = share price ÷ book value per share = {p(price)} ÷ {p(book)} = {p(v)}.",
        v)


@kind("stocks", "eps", "earnings-per-share")
def eps(k):
    shares, v = k.pick(range(100, 2001, 100)), k.pick([F("0.25"), F("0.4"), F("0.6"), F("0.75"), F("1.2"), F("1.5"), F(2)])
    profit = shares * v
    return Problem(
        [f"净利润{p(profit)}万元，普通股{p(shares)}万股，每股收益是多少？",
         f"公司有{p(shares)}万股普通股，全年净利润{p(profit)}万元，求每股收益。"],
        [f"Net profit is ${c(profit)} thousand and there are {c(shares)} thousand ordinary shares. What is EPS?",
         f"A company with {c(shares)} thousand ordinary shares earns ${c(profit)} thousand. Find its earnings per share."],
        f"每股收益 = 净利润 ÷ 普通股股数 = {p(profit)} ÷ {p(shares)} = {p(v)}元。",
        f"EPS = net profit ÷ shares = {c(profit)} ÷ {c(shares)} = ${p(v)}.",
        v)


@kind("stocks", "dividend-yield-rate", "dividend-yield")
def dividend_yield_rate(k):
    price, v = k.pick(range(8, 61, 4)), k.pick([F("1.5"), F(2), F("2.5"), F(3), F(4), F(5)])
    d = price * v / 100
    return Problem(
        [f"股价{price}元，每股年股利{p(d)}元，股息率是多少？",
         f"每股一年分红{p(d)}元，按{price}元买入，股息率为百分之几？"],
        [f"A ${price} share pays ${p(d)} in dividends a year. What is the dividend yield?",
         f"The yearly dividend is ${p(d)} per share and the price is ${price}. Find the dividend yield."],
        f"股息率 = 每股年股利 ÷ 股价 = {p(d)} ÷ {price} = {p(v)}%。",
        f"Dividend yield = annual dividend ÷ price = {p(d)} ÷ {price} = {p(v)}%.",
        v, "percent", [v * 2, v / 2, v + 3])


@kind("stocks", "payout-ratio")
def payout_ratio(k):
    earn, v = k.pick([F("0.8"), F(1), F("1.5"), F(2), F("2.5"), F(4)]), F(k.pick(range(20, 81, 10)))
    d = earn * v / 100
    return Problem(
        [f"每股收益{p(earn)}元，每股派息{p(d)}元，股利支付率是多少？",
         f"公司每股赚{p(earn)}元，其中{p(d)}元用于分红，求股利支付率。"],
        [f"Earnings are ${p(earn)} per share and the dividend is ${p(d)}. What is the payout ratio?",
         f"A company earns ${p(earn)} a share and pays ${p(d)} of it out. Find the dividend payout ratio."],
        f"股利支付率 = 每股股利 ÷ 每股收益 = {p(d)} ÷ {p(earn)} = {p(v)}%。",
        f"Payout ratio = dividend ÷ earnings per share = {p(d)} ÷ {p(earn)} = {p(v)}%.",
        v)


@kind("stocks", "holding-return")
def holding_return(k):
    buy = k.pick([10, 20, 25, 40, 50])
    v = F(k.pick([5, 8, 10, 12, 15, 20]))
    gain = buy * v / 100
    d = F(k.pick([1, 2, 3]), 10)
    sell = buy + gain - d
    return Problem(
        [f"以{buy}元买入股票，期间每股分红{p(d)}元，后以{p(sell)}元卖出，不计费用，收益率是多少？",
         f"股票买价{buy}元、卖价{p(sell)}元，持有期间每股股利{p(d)}元，求持有期收益率。"],
        [f"A share is bought at ${buy}, pays a ${p(d)} dividend and is sold at ${p(sell)}. Ignoring costs, what is the return?",
         f"Find the holding-period return: bought at ${buy}, sold at ${p(sell)}, dividend ${p(d)}."],
        f"收益率 = (卖价 − 买价 + 股利) ÷ 买价 = ({p(sell)} − {buy} + {p(d)}) ÷ {buy} = {p(v)}%。",
        f"Return = (sale price − purchase price + dividend) ÷ purchase price = ({p(sell)} − {buy} + {p(d)}) ÷ {buy} = {p(v)}%.",
        v)


@kind("funds", "unit-value", "net-asset-value")
def unit_value(k):
    units, v = k.pick(range(100, 2001, 100)), k.pick([F("0.95"), F("1.05"), F("1.12"), F("1.25"), F("1.4"), F("1.6")])
    debt = k.pick([5, 10, 20])
    assets = units * v + debt
    return Problem(
        [f"基金总资产{p(assets)}万元，负债{debt}万元，总份额{p(units)}万份，单位净值是多少？",
         f"某基金有{p(units)}万份，资产{p(assets)}万元、负债{debt}万元，求单位净值。"],
        [f"A fund has assets of ${c(assets)} thousand, liabilities of ${debt} thousand and {c(units)} thousand units. What is its value per unit?",
         f"Find net asset value per unit: {c(units)} thousand units, assets ${c(assets)} thousand, liabilities ${debt} thousand."],
        f"单位净值 = (资产 − 负债) ÷ 份额 = ({p(assets)} − {debt}) ÷ {p(units)} = {p(v)}元。",
        f"Value per unit = (assets − liabilities) ÷ units = ({c(assets)} − {debt}) ÷ {c(units)} = ${p(v)}.",
        v)


@kind("funds", "subscription-units", "front-end-load")
def subscription_units(k):
    r, nav = k.pick([F("0.5"), F(1), F("1.2"), F("1.5")]), k.pick([F("1.25"), F("1.6"), F(2), F("0.8"), F("1.1")])
    amount = k.pick(range(5000, 50001, 1000))
    net = amount / (1 + r / 100)
    v = net / nav
    return Problem(
        [f"申购基金{p(amount)}元，申购费率{p(r)}%（价外法），净值{p(nav)}元，得多少份？",
         f"用{p(amount)}元买基金，前端费率{p(r)}%按价外法计算，单位净值{p(nav)}元，求份额。"],
        [f"${c(amount)} goes into a fund with a {p(r)}% front-end fee charged on the net amount, at ${p(nav)} per unit. How many units are bought?",
         f"Find the units bought with ${c(amount)} when the fee is {p(r)}% of the net amount and a unit costs ${p(nav)}."],
        f"份额 = 金额 ÷ (1 + 费率) ÷ 净值 = {p(amount)} ÷ (1 + {p(r)}%) ÷ {p(nav)} {result(v)}份。",
        f"Units = amount ÷ (1 + fee rate) ÷ unit value = {c(amount)} ÷ (1 + {p(r)}%) ÷ {p(nav)} {result(v, ',')}.",
        v)


@kind("funds", "redemption-proceeds", "redemption")
def redemption_proceeds(k):
    units, nav, r = k.pick(range(1000, 20001, 1000)), k.pick([F("0.9"), F("1.15"), F("1.2"), F("1.3"), F("1.5")]), k.pick([F("0.25"), F("0.5"), F(1), F("1.5")])
    v = units * nav * (1 - r / 100)
    z, e = money(v)
    return Problem(
        [f"赎回基金{p(units)}份，净值{p(nav)}元，赎回费率{p(r)}%，到手多少钱？",
         f"{p(units)}份基金按单位净值{p(nav)}元赎回，费率{p(r)}%，求赎回净额。"],
        [f"{c(units)} fund units are redeemed at ${p(nav)} each with a {p(r)}% fee. How much is received?",
         f"Find the net proceeds of redeeming {c(units)} units at ${p(nav)} with a redemption fee of {p(r)}%."],
        f"赎回净额 = 份额 × 净值 × (1 − 费率) = {p(units)} × {p(nav)} × (1 − {p(r)}%) {z}。",
        f"Proceeds = units × unit value × (1 − fee) = {c(units)} × {p(nav)} × (1 − {p(r)}%) {e}.",
        v, "money", [units * nav, units * nav * r / 100, units * nav * (1 + r / 100)])


@kind("funds", "fund-return")
def fund_return(k):
    buy, v = k.pick([F(1), F("1.2"), F("1.25"), F("1.5"), F(2)]), F(k.pick([-20, -10, -8, 4, 6, 10, 12, 20, 25]))
    sell = buy * (100 + v) / 100
    return Problem(
        [f"基金净值从{p(buy)}元变为{p(sell)}元，期间无分红，收益率是多少？",
         f"买入时基金净值{p(buy)}元，现在{p(sell)}元，不计费用和分红，收益率为百分之几？"],
        [f"A fund's unit value goes from ${p(buy)} to ${p(sell)} with no distribution. What is the return?",
         f"Bought at ${p(buy)} a unit, now ${p(sell)}, no fees or distributions: what is the return?"],
        f"收益率 = (期末净值 − 期初净值) ÷ 期初净值 = ({p(sell)} − {p(buy)}) ÷ {p(buy)} = {p(v)}%。",
        f"Return = (end − start) ÷ start = ({p(sell)} − {p(buy)}) ÷ {p(buy)} = {p(v)}%.",
        v)


@kind("funds", "yearly-management-fee", "management-fee")
def yearly_management_fee(k):
    a, r = k.pick(range(10000, 200001, 5000)), k.pick([F("0.15"), F("0.5"), F("0.8"), F("1.2"), F("1.5")])
    v = a * r / 100
    z, e = money(v)
    return Problem(
        [f"平均持有基金{p(a)}元，年管理费率{p(r)}%，一年约承担多少管理费？",
         f"基金年管理费率{p(r)}%，持有市值平均{p(a)}元，一年管理费大约多少？"],
        [f"With ${c(a)} in a fund on average and a {p(r)}% yearly management fee, about what does a year cost?",
         f"A fund charges {p(r)}% a year for management. About how much is that on an average holding of ${c(a)}?"],
        f"管理费 ≈ 平均净值 × 年费率 = {p(a)} × {p(r)}% {z}。",
        f"Fee ≈ average value × yearly rate = {c(a)} × {p(r)}% {e}.",
        v)


@kind("wealth", "annualized-simple", "annualized-return")
def annualized_simple(k):
    a, days = k.pick(range(10000, 100001, 10000)), k.pick([30, 60, 90, 120, 180])
    v = k.pick([F("1.8"), F("2.4"), F(3), F("3.6"), F("4.2")])
    gain = a * v / 100 * days / 360
    return Problem(
        [f"投资{p(a)}元，{days}天获得{p(gain)}元收益，一年按360天计，单利年化收益率是多少？",
         f"{p(a)}元投入{days}天赚了{p(gain)}元，按360天折算的年化收益率为百分之几？"],
        [f"${c(a)} earns ${c(gain)} in {days} days. On a 360-day year, what is the simple annualized return?",
         f"Find the annualized return on a 360-day basis: ${c(gain)} earned on ${c(a)} in {days} days."],
        f"年化收益率 = 收益 ÷ 本金 × 360 ÷ 天数 = {p(gain)} ÷ {p(a)} × 360 ÷ {days} = {p(v)}%。",
        f"Annualized return = gain ÷ principal × 360 ÷ days = {c(gain)} ÷ {c(a)} × 360 ÷ {days} = {p(v)}%.",
        v)


@kind("risk", "drawdown-rate", "maximum-drawdown")
def drawdown_rate(k):
    peak, v = k.pick([F("1.5"), F(2), F("2.5"), F(4)]), F(k.pick([10, 15, 20, 25, 30, 40]))
    low = peak * (100 - v) / 100
    return Problem(
        [f"净值最高{p(peak)}元，随后最低跌到{p(low)}元，最大回撤是多少？",
         f"某产品净值由高点{p(peak)}元回落至{p(low)}元，回撤幅度为百分之几？"],
        [f"A value peaks at ${p(peak)} and then falls to ${p(low)}. What is the drawdown?",
         f"Find the drawdown from a high of ${p(peak)} to a later low of ${p(low)}."],
        f"回撤 = (高点 − 低点) ÷ 高点 = ({p(peak)} − {p(low)}) ÷ {p(peak)} = {p(v)}%。",
        f"Drawdown = (peak − low) ÷ peak = ({p(peak)} − {p(low)}) ÷ {p(peak)} = {p(v)}%.",
        v, "percent", [v * 100 / (100 - v), 100 - v, v / 2])


@kind("risk", "portfolio-return")
def portfolio_return(k):
    w = k.pick([20, 30, 40, 60, 70, 80])
    a, b = k.pick([F(6), F(8), F(10), F(12)]), k.pick([F(2), F(3), F(4), F(5)])
    v = (w * a + (100 - w) * b) / 100
    return Problem(
        [f"组合中{w}%投股票、收益{p(a)}%，其余投债券、收益{p(b)}%，组合收益率是多少？",
         f"资金{w}%的收益率为{p(a)}%，另外{100 - w}%的收益率为{p(b)}%，求整体收益率。"],
        [f"A portfolio holds {w}% shares returning {p(a)}% and the rest in bonds returning {p(b)}%. What is its return?",
         f"{w}% of the money earns {p(a)}% and {100 - w}% earns {p(b)}%. Find the overall return."],
        f"组合收益率 = {w}% × {p(a)}% + {100 - w}% × {p(b)}% = {p(v)}%。",
        f"Portfolio return = {w}% × {p(a)}% + {100 - w}% × {p(b)}% = {p(v)}%.",
        v, "percent", [(a + b) / 2 if w != 50 else a, a + b, ((100 - w) * a + w * b) / 100])
