"""Computed problems of accounting, tax and the economy."""

from exact import F, comma as c, plain as p
from problem import Problem, kind, money


def ratio_kind(name, concept, zh_label, zh_top, zh_bottom, en_label, en_top, en_bottom, values, unit, base):
    """Ratios of two balance-sheet or income figures share one wording pattern."""

    @kind("accounting", name, concept)
    def ratio(k):
        bottom, v = k.pick(base), k.pick(values)
        top = bottom * v / (100 if unit == "percent" else 1)
        mark = "%" if unit == "percent" else ""
        slips = [100 - v, v / 2, v + 5] if unit == "percent" else [1 / v, v + 1, v / 2]
        return Problem(
            [f"{zh_top}{p(top)}万元，{zh_bottom}{p(bottom)}万元，{zh_label}是多少？",
             f"某公司{zh_bottom}为{p(bottom)}万元，{zh_top}为{p(top)}万元，求{zh_label}。"],
            [f"With {en_top} of ${c(top)} thousand and {en_bottom} of ${c(bottom)} thousand, what is the {en_label}?",
             f"A company has {en_bottom} of ${c(bottom)} thousand and {en_top} of ${c(top)} thousand. Find its {en_label}."],
            f"{zh_label} = {zh_top} ÷ {zh_bottom} = {p(top)} ÷ {p(bottom)} = {p(v)}{mark}。",
            f"{en_label[0].upper()}{en_label[1:]} = {en_top} ÷ {en_bottom} = {c(top)} ÷ {c(bottom)} = {p(v)}{mark}.",
            v, unit, slips)

    return ratio


PCT = [F(x) for x in (5, 8, 10, 12, 15, 18, 20, 25)]
LOW_PCT = [F(x) for x in (2, 3, 4, 5, 6, 8)]
DEBT_PCT = [F(x) for x in (30, 35, 40, 45, 55, 60, 65, 70)]
HALVES = [F("0.8"), F("1.2"), F("1.5"), F("1.8"), F(2), F("2.5")]
TURNS = [F(3), F(4), F(5), F(6), F(8)]
COVERS = [F(2), F("2.5"), F(3), F(4), F(5)]

ratio_kind(
    "roe-ratio", "return-on-equity", "净资产收益率", "净利润", "平均净资产",
    "return on equity", "net profit", "average equity", PCT, "percent", range(500, 5001, 500),
)
ratio_kind(
    "roa-ratio", "roa-ratio", "总资产收益率", "净利润", "平均总资产",
    "return on assets", "net profit", "average assets", LOW_PCT, "percent", range(1000, 9001, 500),
)
ratio_kind(
    "net-margin-ratio", "net-margin-ratio", "净利率", "净利润", "营业收入",
    "net margin", "net profit", "revenue", PCT, "percent", range(600, 6001, 600),
)
ratio_kind(
    "current-ratio-value", "current-ratio", "流动比率", "流动资产", "流动负债",
    "current ratio", "current assets", "current liabilities", HALVES, "times", range(100, 1501, 50),
)
ratio_kind(
    "debt-ratio-value", "debt-ratio", "资产负债率", "负债总额", "资产总额",
    "debt ratio", "total liabilities", "total assets", DEBT_PCT, "percent", range(1000, 9001, 1000),
)
ratio_kind(
    "inventory-turnover-value", "inventory-turnover", "存货周转率", "营业成本", "平均存货",
    "inventory turnover", "cost of sales", "average inventory", TURNS, "times", range(50, 601, 50),
)
ratio_kind(
    "interest-cover", "interest-cover", "利息保障倍数", "息税前利润", "利息费用",
    "interest cover", "profit before interest and tax", "interest expense", COVERS, "times", range(20, 201, 20),
)


@kind("accounting", "gross-margin-ratio", "gross-margin")
def gross_margin_ratio(k):
    revenue, v = k.pick(range(200, 3001, 200)), F(k.pick(range(20, 61, 5)))
    cost = revenue * (100 - v) / 100
    return Problem(
        [f"营业收入{p(revenue)}万元，营业成本{p(cost)}万元，毛利率是多少？",
         f"商品卖了{p(revenue)}万元，成本{p(cost)}万元，毛利率为百分之几？"],
        [f"Revenue is ${c(revenue)} thousand and cost of sales ${c(cost)} thousand. What is the gross margin?",
         f"Goods costing ${c(cost)} thousand are sold for ${c(revenue)} thousand. Find the gross margin."],
        f"毛利率 = (收入 − 成本) ÷ 收入 = ({p(revenue)} − {p(cost)}) ÷ {p(revenue)} = {p(v)}%。",
        f"Gross margin = (revenue − cost) ÷ revenue = ({c(revenue)} − {c(cost)}) ÷ {c(revenue)} = {p(v)}%.",
        v, "percent", [100 - v, v * 100 / (100 - v), v / 2])


@kind("accounting", "quick-ratio-value", "quick-ratio")
def quick_ratio_value(k):
    debt, v, stock = k.pick(range(100, 1001, 100)), k.pick([F("0.6"), F("0.8"), F(1), F("1.2"), F("1.5")]), k.pick([40, 60, 80, 120])
    assets = debt * v + stock
    return Problem(
        [f"流动资产{p(assets)}万元，其中存货{stock}万元，流动负债{p(debt)}万元，速动比率是多少？",
         f"流动负债{p(debt)}万元，流动资产{p(assets)}万元，存货{stock}万元，求速动比率。"],
        [f"Current assets are ${c(assets)} thousand, of which inventory ${stock} thousand; current liabilities are ${c(debt)} thousand. What is the quick ratio?",
         f"Find the quick ratio: current liabilities ${c(debt)} thousand, current assets ${c(assets)} thousand, inventory ${stock} thousand."],
        f"速动比率 = (流动资产 − 存货) ÷ 流动负债 = ({p(assets)} − {stock}) ÷ {p(debt)} = {p(v)}。",
        f"Quick ratio = (current assets − inventory) ÷ current liabilities = ({c(assets)} − {stock}) ÷ {c(debt)} = {p(v)}.",
        v)


@kind("accounting", "owners-equity-value", "equity")
def owners_equity_value(k):
    assets = k.pick(range(500, 9001, 100))
    debt = k.pick(range(100, assets - 99, 50))
    v = F(assets - debt)
    return Problem(
        [f"资产总额{p(assets)}万元，负债总额{p(debt)}万元，所有者权益是多少？",
         f"公司负债{p(debt)}万元，资产{p(assets)}万元，净资产有多少？"],
        [f"Total assets are ${c(assets)} thousand and liabilities ${c(debt)} thousand. What is owners' equity?",
         f"A company owes ${c(debt)} thousand and owns assets of ${c(assets)} thousand. Find its net assets."],
        f"所有者权益 = 资产 − 负债 = {p(assets)} − {p(debt)} = {p(v)}万元。",
        f"Equity = assets − liabilities = {c(assets)} − {c(debt)} = ${c(v)} thousand.",
        v)


@kind("accounting", "straight-line-depreciation", "depreciation")
def straight_line_depreciation(k):
    years, v, rest = k.pick([4, 5, 8, 10]), F(k.pick(range(1000, 12001, 500))), k.pick([0, 2000, 4000, 5000])
    cost = years * v + rest
    z, e = money(v)
    return Problem(
        [f"设备原值{p(cost)}元，残值{p(rest)}元，使用{years}年，直线法每年折旧多少？",
         f"按直线法，原价{p(cost)}元、预计残值{p(rest)}元、寿命{years}年的机器，年折旧额是多少？"],
        [f"A machine costs ${c(cost)}, has a residual value of ${c(rest)} and lasts {years} years. What is yearly straight-line depreciation?",
         f"Find the straight-line charge a year: cost ${c(cost)}, residual ${c(rest)}, life {years} years."],
        f"年折旧 = (原值 − 残值) ÷ 年限 = ({p(cost)} − {p(rest)}) ÷ {years} {z}。",
        f"Yearly charge = (cost − residual) ÷ years = ({c(cost)} − {c(rest)}) ÷ {years} {e}.",
        v)


@kind("accounting", "break-even-units", "break-even-point")
def break_even_units(k):
    margin, v, var = k.pick([5, 8, 10, 20, 25]), F(k.pick(range(200, 3001, 200))), k.pick([15, 20, 30, 45])
    fixed = margin * v
    price = var + margin
    return Problem(
        [f"固定成本{p(fixed)}元，单价{price}元，单位变动成本{var}元，盈亏平衡销量是多少？",
         f"每件售价{price}元、变动成本{var}元，固定成本{p(fixed)}元，卖多少件才不亏？"],
        [f"Fixed cost is ${c(fixed)}, price ${price} and variable cost ${var} a unit. What is the break-even volume?",
         f"Each unit sells at ${price} and costs ${var} to make; fixed cost is ${c(fixed)}. How many units break even?"],
        f"盈亏平衡销量 = 固定成本 ÷ (单价 − 变动成本) = {p(fixed)} ÷ ({price} − {var}) = {p(v)}件。",
        f"Break-even = fixed cost ÷ (price − variable cost) = {c(fixed)} ÷ ({price} − {var}) = {c(v)} units.",
        v)


@kind("tax", "progressive-income-tax", "progressive-tax")
def progressive_income_tax(k):
    first, low, high = k.pick([10000, 20000, 30000, 36000]), k.pick([3, 5]), k.pick([10, 15, 20])
    x = first + k.pick(range(5000, 60001, 5000))
    v = F(first * low + (x - first) * high, 100)
    z, e = money(v)
    return Problem(
        [f"假设应税所得{p(first)}元以内税率{low}%，超过部分{high}%。所得{p(x)}元应缴多少税？",
         f"某累进税：不超过{p(first)}元的部分征{low}%，以上部分征{high}%。应税所得{p(x)}元，求税额。"],
        [f"Suppose income up to ${c(first)} is taxed at {low}% and the rest at {high}%. What is the tax on ${c(x)}?",
         f"A tax takes {low}% of the first ${c(first)} and {high}% of anything above. Find the tax on taxable income of ${c(x)}."],
        f"税额 = {p(first)} × {low}% + ({p(x)} − {p(first)}) × {high}% {z}。",
        f"Tax = {c(first)} × {low}% + ({c(x)} − {c(first)}) × {high}% {e}.",
        v, "money", [F(x * high, 100), F(x * low, 100), F((x - first) * high, 100)])


@kind("tax", "tax-inside-price", "value-added-tax")
def tax_inside_price(k):
    r, net = k.pick([5, 6, 8, 10, 20]), k.pick(range(200, 5001, 100))
    gross = net * F(100 + r, 100)
    v = gross - net
    z, e = money(v)
    return Problem(
        [f"含税价{p(gross)}元，税率{r}%，其中税额是多少？",
         f"商品含税售价为{p(gross)}元，适用税率{r}%，价款中含税多少元？"],
        [f"A price of ${c(gross)} includes {r}% tax. How much of it is tax?",
         f"The tax-inclusive price is ${c(gross)} at a rate of {r}%. Find the tax."],
        f"税额 = 含税价 − 含税价 ÷ (1 + 税率) = {p(gross)} − {p(gross)} ÷ {p(1 + F(r, 100))} {z}。",
        f"Tax = gross price − gross price ÷ (1 + rate) = {c(gross)} − {c(gross)} ÷ {p(1 + F(r, 100))} {e}.",
        v, "money", [gross * r / 100, F(net), v / 2])


@kind("tax", "deduction-saving", "tax-deduction")
def deduction_saving(k):
    a, r = k.pick(range(1000, 24001, 1000)), k.pick([10, 15, 20, 25, 30])
    v = F(a * r, 100)
    z, e = money(v)
    return Problem(
        [f"边际税率{r}%，增加税前扣除{p(a)}元，少缴多少税？",
         f"某人最高档税率为{r}%，新增{p(a)}元扣除且全部落在该档，可省税多少？"],
        [f"With a marginal rate of {r}%, how much tax does an extra deduction of ${c(a)} save?",
         f"A person's top rate is {r}%. A further ${c(a)} becomes deductible within that bracket. What is the saving?"],
        f"节省税额 = 扣除额 × 边际税率 = {p(a)} × {r}% {z}。",
        f"Tax saved = deduction × marginal rate = {c(a)} × {r}% {e}.",
        v)


@kind("macro", "currency-buy", "exchange-rate")
def currency_buy(k):
    rate, foreign = k.pick([F("1.2"), F("1.25"), F("6.8"), F("7.2"), F("8.5"), F("0.9")]), k.pick(range(200, 9001, 200))
    v = rate * foreign
    return Problem(
        [f"1单位外币兑{p(rate)}单位本币，买入{p(foreign)}单位外币需要多少本币？",
         f"汇率为1外币 = {p(rate)}本币，换{p(foreign)}外币要付多少本币？"],
        [f"One foreign unit costs {p(rate)} home units. How much home currency buys {c(foreign)} foreign units?",
         f"At 1 foreign = {p(rate)} home, what do {c(foreign)} foreign units cost in home currency?"],
        f"本币金额 = 外币金额 × 汇率 = {p(foreign)} × {p(rate)} = {p(v)}单位本币。",
        f"Home amount = foreign amount × rate = {c(foreign)} × {p(rate)} = {c(v)} home units.",
        v)


@kind("macro", "currency-sell", "exchange-rate")
def currency_sell(k):
    rate, v = k.pick([F("1.2"), F("1.25"), F("6.5"), F("7.5"), F(8), F("0.8")]), F(k.pick(range(200, 9001, 200)))
    home = rate * v
    return Problem(
        [f"1单位外币兑{p(rate)}单位本币，{p(home)}单位本币能换多少外币？",
         f"手里有{p(home)}本币，按1外币 = {p(rate)}本币兑换，能得到多少外币？"],
        [f"One foreign unit costs {p(rate)} home units. How many foreign units do {c(home)} home units buy?",
         f"At 1 foreign = {p(rate)} home, how much foreign currency does {c(home)} in home currency buy?"],
        f"外币金额 = 本币金额 ÷ 汇率 = {p(home)} ÷ {p(rate)} = {p(v)}单位外币。",
        f"Foreign amount = home amount ÷ rate = {c(home)} ÷ {p(rate)} = {c(v)} foreign units.",
        v)


@kind("macro", "price-index-change", "consumer-price-index")
def price_index_change(k):
    start, v = k.pick([100, 120, 125, 150, 200]), F(k.pick([1, 2, 3, 4, 5, 6, 8]))
    end = start * (100 + v) / 100
    return Problem(
        [f"价格指数从{start}升到{p(end)}，通货膨胀率是多少？",
         f"去年价格指数{start}，今年{p(end)}，物价上涨百分之几？"],
        [f"A price index rises from {start} to {p(end)}. What is the inflation rate?",
         f"The price index was {start} last year and is {p(end)} now. By what percentage did prices rise?"],
        f"通货膨胀率 = (本期指数 − 上期指数) ÷ 上期指数 = ({p(end)} − {start}) ÷ {start} = {p(v)}%。",
        f"Inflation = (new index − old index) ÷ old index = ({p(end)} − {start}) ÷ {start} = {p(v)}%.",
        v, "percent", [end - start if end - start != v else v * 2, v / 2, v + 2])


@kind("macro", "unemployment-value", "unemployment-rate")
def unemployment_value(k):
    force, v = k.pick(range(200, 5001, 200)), k.pick([F(3), F(4), F(5), F(6), F("7.5"), F(8)])
    out = force * v / 100
    work = force - out
    return Problem(
        [f"就业{p(work)}万人，失业{p(out)}万人，失业率是多少？",
         f"某地有{p(out)}万失业者和{p(work)}万就业者，求失业率。"],
        [f"{c(work)} thousand people work and {c(out)} thousand seek work. What is the unemployment rate?",
         f"An area has {c(out)} thousand unemployed and {c(work)} thousand employed. Find the unemployment rate."],
        f"失业率 = 失业人数 ÷ (就业 + 失业) = {p(out)} ÷ ({p(work)} + {p(out)}) = {p(v)}%。",
        f"Unemployment rate = unemployed ÷ (employed + unemployed) = {c(out)} ÷ ({c(work)} + {c(out)}) = {p(v)}%.",
        v)
