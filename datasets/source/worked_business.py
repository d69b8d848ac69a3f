"""Problems of two or three steps: accounting, tax and the economy."""

from sheet import nice, worked


@worked("accounting", "down-the-statement", "income-statement")
def down_the_statement(k, s):
    r = k.pick(range(800, 3001, 200))
    c, x = nice(f"{r} × {k.pick([55, 60, 65])}%"), nice(f"{r} × {k.pick([15, 18, 20])}%")
    i, t = k.pick([10, 20, 30]), k.pick([20, 25])
    g = s.line("毛利", "Gross profit", f"{r} − {c}", "wan")
    o = s.line("税前利润", "Profit before tax", f"{g} − {x} − {i}", "wan")
    n = s.line("净利润", "Net profit", f"{o} × (1 − {t}%)", "wan")
    s.line("净利率", "Net margin", f"{n} ÷ {r}", "percent")
    return (
        [f"营业收入{r}万元，营业成本{c}万元，期间费用{x}万元，利息{i}万元，所得税率按{t}%假设。净利润和净利率各是多少？",
         f"利润表数据：收入{r}万元、成本{c}万元、费用{x}万元、利息支出{i}万元，税率{t}%。请逐步算到净利率。"],
        [f"Revenue is ${r} thousand, cost of sales ${c} thousand, operating expenses ${x} thousand, interest ${i} thousand, and the tax rate is taken as {t}%. What are net profit and net margin?",
         f"From an income statement: revenue ${r} thousand, cost ${c} thousand, expenses ${x} thousand, interest ${i} thousand, tax {t}%. Work down to the net margin."])


@worked("accounting", "three-factors", "return-on-equity")
def three_factors(k, s):
    m, t, e = k.pick([4, 5, 6, 8]), k.pick(["0.8", "1.2", "1.5"]), k.pick([2, "2.5", "1.6"])
    a = s.line("总资产收益率", "Return on assets", f"{m}% × {t}", "percent")
    b = s.line("净资产收益率", "Return on equity", f"{a}% × {e}", "percent")
    s.line("若权益乘数降到1.2", "With an equity multiplier of 1.2", f"{a}% × 1.2", "percent")
    return (
        [f"杜邦分析：净利率{m}%，资产周转率{t}次，权益乘数{e}。净资产收益率是多少？权益乘数降到1.2时呢？",
         f"净利率{m}%、总资产周转{t}次、权益乘数{e}，用三因素相乘求净资产收益率，并看降杠杆到1.2的影响。"],
        [f"DuPont analysis: net margin {m}%, asset turnover {t}, equity multiplier {e}. What is the return on equity, and what with a multiplier of 1.2?",
         f"Multiply net margin {m}%, asset turnover {t} and equity multiplier {e}; then show what cutting the multiplier to 1.2 does."])


@worked("accounting", "by-output", "depreciation")
def by_output(k, s):
    total, u = k.pick([20000, 40000, 50000]), k.pick(["1.2", "1.5", 2, 3])
    rest = k.pick([2000, 4000, 5000])
    cost = nice(f"{total} × {u} + {rest}")
    n = k.pick([3000, 4500, 6000])
    a = s.line("每件折旧", "Charge per piece", f"({cost} − {rest}) ÷ {total}")
    b = s.line("本年折旧", "Charge this year", f"{n} × {a}")
    s.line("年末账面价值", "Book value at year end", f"{cost} − {b}")
    return (
        [f"机器原值{cost}元，残值{rest}元，预计共生产{total}件，本年（第一年）生产{n}件。按工作量法，本年折旧和年末账面价值是多少？",
         f"工作量法折旧：原价{cost}元、残值{rest}元、总产量{total}件、首年产量{n}件，求折旧与账面价值。"],
        [f"A machine costs ${cost}, has a residual value of ${rest} and should make {total} pieces. It makes {n} in its first year. By units of production, what are the charge and the book value?",
         f"Depreciation by output: cost ${cost}, residual ${rest}, {total} pieces in all, {n} in year one. Find the charge and the book value."])


@worked("accounting", "sell-machine", "depreciation")
def sell_machine(k, s):
    y, n, u = k.pick([5, 8, 10]), k.pick([2, 3, 4]), k.pick(range(3000, 12001, 1000))
    cost = y * u
    a = s.line("年折旧", "Yearly charge", f"{cost} ÷ {y}")
    b = s.line("账面价值", "Book value", f"{cost} − {a} × {n}")
    price = int(b) + k.pick([-3000, -1500, 2000, 4000])
    up = price > b
    s.line("处置收益" if up else "处置损失", "Gain on sale" if up else "Loss on sale", f"{price} − {b}" if up else f"{b} − {price}")
    return (
        [f"设备原值{cost}元，无残值，直线法折旧{y}年，用满{n}年后以{price}元卖出，不计税费，处置损益是多少？",
         f"原价{cost}元的机器按{y}年直线折旧、残值为零，第{n}年末售价{price}元。卖出是赚是亏？"],
        [f"Equipment of ${cost} without residual value is written off evenly over {y} years and sold for ${price} after {n}. Before tax, what is the gain or loss?",
         f"A machine of ${cost} has a straight-line life of {y} years and no residual value. After {n} years it brings ${price}. Gain or loss?"])


@worked("accounting", "cash-days", "working-capital")
def cash_days(k, s):
    a, b, c = k.pick([40, 55, 60, 75]), k.pick([30, 45, 50]), k.pick([25, 35, 40])
    sale = k.pick([360000, 720000, 1080000])
    t = s.line("营业周期", "Operating cycle", f"{a} + {b}", "day")
    n = s.line("现金周转期", "Cash cycle", f"{t} − {c}", "day")
    s.line("约占用资金", "Money tied up, about", f"{sale} ÷ 360 × {n}")
    return (
        [f"存货周转{a}天，应收账款周转{b}天，应付账款周转{c}天，年现金支出{sale}元按360天计。现金周转期多少天？约占用多少资金？",
         f"小店进货后{a}天卖出，再过{b}天收款，付款账期{c}天；一年进货支出{sale}元。求现金周转期和占用资金（360天）。"],
        [f"Inventory turns in {a} days, receivables in {b}, payables in {c}; yearly cash costs are ${sale} on a 360-day year. How long is the cash cycle, and how much money does it tie up?",
         f"A shop sells goods after {a} days, is paid {b} days later and pays suppliers after {c} days. It spends ${sale} a year (360 days). Find the cash cycle and the money tied up."])


@worked("accounting", "target-profit", "break-even-point")
def target_profit(k, s):
    p, v = k.pick([(50, 30), (80, 55), (120, 80), (25, 15)])
    fixed, goal = (p - v) * k.pick([400, 600, 900]), (p - v) * k.pick([100, 200, 300])
    m = s.line("每件边际贡献", "Contribution per piece", f"{p} − {v}")
    s.line("保平销量", "Break-even volume", f"{fixed} ÷ {m}", "piece")
    n = s.line("目标利润销量", "Volume for the target", f"({fixed} + {goal}) ÷ {m}", "piece")
    s.line("目标销售额", "Sales for the target", f"{n} × {p}")
    return (
        [f"产品单价{p}元，单位变动成本{v}元，固定成本{fixed}元。不亏要卖几件？想赚{goal}元要卖几件、销售额多少？",
         f"单价{p}元、变动成本{v}元/件、固定成本{fixed}元、目标利润{goal}元。求盈亏平衡量和目标销量。"],
        [f"A product sells at ${p} with a variable cost of ${v}; fixed cost is ${fixed}. How many pieces break even, and what volume and sales earn ${goal}?",
         f"Price ${p}, variable cost ${v} a piece, fixed cost ${fixed}, target profit ${goal}. Find both volumes and the sales needed."])


@worked("accounting", "profit-to-cash", "cash-flow-statement")
def profit_to_cash(k, s):
    p, d, r, i, y = k.pick([120, 180, 260]), k.pick([30, 40, 60]), k.pick([20, 50, 90]), k.pick([10, 25]), k.pick([15, 35])
    a = s.line("加回折旧", "Add back depreciation", f"{p} + {d}", "wan")
    b = s.line("减应收和存货增加", "Less more receivables and inventory", f"{a} − {r} − {i}", "wan")
    s.line("加应付增加", "Add more payables", f"{b} + {y}", "wan")
    s.say("最后一行即经营活动现金流。", "The last line is the operating cash flow.")
    return (
        [f"净利润{p}万元，折旧{d}万元，应收账款增加{r}万元，存货增加{i}万元，应付账款增加{y}万元。经营活动现金流是多少？",
         f"间接法：从净利润{p}万元出发，折旧{d}万元，应收增加{r}万元、存货增加{i}万元、应付增加{y}万元，求经营现金流。"],
        [f"Net profit is ${p} thousand, depreciation ${d} thousand; receivables grew ${r} thousand, inventory ${i} thousand and payables ${y} thousand. What is the operating cash flow?",
         f"Indirect method: start from a profit of ${p} thousand with depreciation ${d} thousand, receivables up ${r} thousand, inventory up ${i} thousand, payables up ${y} thousand."])


@worked("accounting", "aged-receivables", "bad-debt-allowance")
def aged_receivables(k, s):
    a, b, c = k.pick([200, 300, 400]), k.pick([60, 80, 100]), k.pick([20, 30, 50])
    x, y, z = 1, k.pick([5, 10]), k.pick([40, 50])
    v = s.line("应计提坏账准备", "Allowance needed", f"{a} × {x}% + {b} × {y}% + {c} × {z}%", "wan")
    t = s.line("应收总额", "Total receivables", f"{a} + {b} + {c}", "wan")
    s.line("应收净额", "Net receivables", f"{t} − {v}", "wan")
    return (
        [f"应收账款：未逾期{a}万元、逾期半年内{b}万元、逾期更久{c}万元，分别按{x}%、{y}%、{z}%计提坏账准备。准备额和净额各多少？",
         f"账龄分析：{a}万元计提{x}%，{b}万元计提{y}%，{c}万元计提{z}%。求坏账准备与应收净额。"],
        [f"Receivables are ${a} thousand not yet due, ${b} thousand up to half a year late and ${c} thousand later still; the allowances are {x}%, {y}% and {z}%. Find the allowance and the net amount.",
         f"By age: {x}% on ${a} thousand, {y}% on ${b} thousand, {z}% on ${c} thousand. What are the allowance and net receivables?"])


@worked("accounting", "average-stock", "weighted-average-cost")
def average_stock(k, s):
    a, p, b, q = k.pick([100, 200, 300]), k.pick([10, 12, 20]), k.pick([100, 200, 300]), k.pick([13, 15, 24])
    n = k.pick([80, 150, 180])
    t = s.line("存货总成本", "Cost of goods on hand", f"{a} × {p} + {b} × {q}")
    u = s.line("加权平均单价", "Weighted average cost", f"{t} ÷ ({a} + {b})")
    s.line("发出成本", "Cost of goods issued", f"{n} × {u}")
    return (
        [f"期初存货{a}件、单价{p}元，本期购入{b}件、单价{q}元，发出{n}件。按加权平均法，发出成本是多少？",
         f"加权平均：{a}件×{p}元，{b}件×{q}元，领用{n}件。求平均单价与发出成本。"],
        [f"Opening stock is {a} pieces at ${p}; {b} more are bought at ${q} and {n} are issued. By weighted average, what do the issued goods cost?",
         f"Weighted average cost: {a} pieces at ${p}, {b} at ${q}, {n} issued. Find the average and the cost of the issue."])


@worked("accounting", "pay-down", "current-ratio")
def pay_down(k, s):
    d, r = k.pick([100, 200, 400]), k.pick(["1.5", 2, "2.5"])
    a = nice(f"{d} × {r}")
    x = nice(f"{d} × {k.pick([20, 25, 50])}%")
    s.line("原流动比率", "Current ratio before", f"{a} ÷ {d}", "number")
    p = s.line("还款后流动资产", "Current assets after", f"{a} − {x}", "wan")
    q = s.line("还款后流动负债", "Current liabilities after", f"{d} − {x}", "wan")
    s.line("新流动比率", "Current ratio after", f"{p} ÷ {q}", "number")
    return (
        [f"流动资产{a}万元，流动负债{d}万元，用现金归还{x}万元短期借款后，流动比率怎样变化？",
         f"企业动用{x}万元现金偿还流动负债，原有流动资产{a}万元、流动负债{d}万元。比较前后流动比率。"],
        [f"Current assets are ${a} thousand and current liabilities ${d} thousand. How does the current ratio change when ${x} thousand of short debt is repaid in cash?",
         f"A firm uses ${x} thousand of cash to repay current liabilities; it had ${a} thousand of current assets against ${d} thousand. Compare the ratio before and after."])


@worked("accounting", "turn-days", "inventory-turnover")
def turn_days(k, s):
    a, b = k.pick([(80, 120), (150, 250), (90, 110), (40, 60)])
    t = k.pick([4, 5, 6])
    c = (a + b) // 2 * t
    m = s.line("平均存货", "Average inventory", f"({a} + {b}) ÷ 2", "wan")
    n = s.line("存货周转率", "Inventory turnover", f"{c} ÷ {m}", "times")
    s.line("周转天数", "Days in stock", f"360 ÷ {n}", "day")
    return (
        [f"期初存货{a}万元，期末存货{b}万元，营业成本{c}万元，存货周转率和周转天数（一年360天）各是多少？",
         f"营业成本{c}万元，存货由{a}万元变为{b}万元。按360天算，平均多少天周转一次？"],
        [f"Inventory was ${a} thousand at the start and ${b} thousand at the end; cost of sales was ${c} thousand. What are turnover and days in stock on a 360-day year?",
         f"Cost of sales ${c} thousand, inventory from ${a} to ${b} thousand. In how many days of a 360-day year does it turn once?"])


@worked("tax", "three-brackets", "effective-tax-rate")
def three_brackets(k, s):
    b1, b2 = k.pick([(20000, 60000), (30000, 90000), (36000, 100000)])
    r1, r2, r3 = k.pick([(5, 10, 20), (3, 10, 25), (5, 15, 30)])
    x = b2 + k.pick([20000, 40000, 60000])
    a = s.line("第一档", "First bracket", f"{b1} × {r1}%")
    b = s.line("第二档", "Second bracket", f"({b2} − {b1}) × {r2}%")
    c = s.line("第三档", "Third bracket", f"({x} − {b2}) × {r3}%")
    t = s.line("税额", "Tax", f"{a} + {b} + {c}")
    s.line("实际税负率", "Effective rate", f"{t} ÷ {x}", "percent")
    return (
        [f"假设累进税表：{b1}元以内{r1}%，{b1}至{b2}元{r2}%，超过{b2}元{r3}%。应税所得{x}元，税额和实际税负率是多少？",
         f"某地（虚构）所得税三档税率{r1}%、{r2}%、{r3}%，分界{b1}元和{b2}元。所得{x}元怎样计税？平均税负多少？"],
        [f"Suppose income up to ${b1} is taxed at {r1}%, from there to ${b2} at {r2}% and above at {r3}%. What are the tax and the effective rate on ${x}?",
         f"An invented tax has brackets of {r1}%, {r2}% and {r3}% with limits at ${b1} and ${b2}. Tax ${x} step by step and give the average burden."])


@worked("tax", "credit-or-deduction", "tax-credit")
def credit_or_deduction(k, s):
    x, r, d, c = k.pick(range(60000, 140001, 10000)), k.pick([15, 20, 25]), k.pick([8000, 10000, 12000]), k.pick([1500, 2500, 3000])
    a = s.line("选扣除，税额", "Tax with the deduction", f"({x} − {d}) × {r}%")
    b = s.line("选抵免，税额", "Tax with the credit", f"{x} × {r}% − {c}")
    less = "扣除" if a < b else "抵免"
    if a == b:
        s.say("两种方式税额相同。", "Both ways give the same tax.")
    else:
        s.line(f"选{less}少缴", f"The {'deduction' if a < b else 'credit'} saves", f"{b} − {a}" if a < b else f"{a} − {b}")
    return (
        [f"应税所得{x}元，单一税率{r}%。可选{d}元税前扣除或{c}元税额抵免，哪种少缴税，少多少？",
         f"所得{x}元、税率{r}%，{d}元的扣除与{c}元的抵免只能选一个，怎样选？"],
        [f"Taxable income is ${x} at a single rate of {r}%. One may take a ${d} deduction or a ${c} credit. Which gives less tax, and by how much?",
         f"On ${x} at {r}%, either a deduction of ${d} or a credit of ${c} is allowed. Which should be chosen?"])


@worked("tax", "chain-tax", "value-added-tax")
def chain_tax(k, s):
    buy, r = k.pick(range(400, 1201, 100)), k.pick([5, 10, 20])
    sell = buy + k.pick([200, 300, 500])
    a = s.line("销项税额", "Output tax", f"{sell} × {r}%")
    b = s.line("进项税额", "Input tax", f"{buy} × {r}%")
    v = s.line("应纳税额", "Tax payable", f"{a} − {b}")
    s.line("验证：增值额乘税率", "Check: value added times rate", f"({sell} − {buy}) × {r}%")
    return (
        [f"假设增值税率{r}%，商店以不含税{buy}元进货、不含税{sell}元售出，进项可全额抵扣，应缴多少？用增值额验证。",
         f"不含税进价{buy}元、售价{sell}元，税率按{r}%假设。求销项、进项和应纳增值税。"],
        [f"At an assumed VAT rate of {r}%, a shop buys at ${buy} and sells at ${sell}, both before tax, and deducts input tax in full. What does it owe? Check by the value added.",
         f"Purchase ${buy}, sale ${sell}, both net; take the rate as {r}%. Find output tax, input tax and tax payable."])


@worked("tax", "at-the-border", "tariff")
def at_the_border(k, s):
    p, t, r = k.pick(range(2000, 9001, 500)), k.pick([5, 10, 15]), k.pick([10, 20])
    a = s.line("关税", "Duty", f"{p} × {t}%")
    b = s.line("含关税价格", "Price with duty", f"{p} + {a}")
    c = s.line("增值税", "VAT", f"{b} × {r}%")
    s.line("完税后成本", "Cost after both", f"{b} + {c}")
    return (
        [f"进口货物完税价格{p}元，假设关税税率{t}%，增值税税率{r}%（按含关税价格计），缴税后总成本是多少？",
         f"货物到岸价{p}元，先征{t}%关税，再对含关税价格征{r}%增值税。分步求总成本。"],
        [f"Imported goods are valued at ${p}. With an assumed duty of {t}% and VAT of {r}% on the price including duty, what do they cost in all?",
         f"Goods of ${p} bear {t}% duty and then {r}% VAT on the sum. Find the total cost step by step."])


@worked("tax", "year-settlement", "withholding-tax")
def year_settlement(k, s):
    m, d, r, w = k.pick(range(8000, 15001, 1000)), k.pick([30000, 40000, 60000]), k.pick([10, 15]), k.pick([500, 700, 900, 1300])
    x = s.line("应税所得", "Taxable income", f"{m} × 12 − {d}")
    t = s.line("全年应缴", "Tax for the year", f"{x} × {r}%")
    p = s.line("已扣税款", "Withheld", f"{w} × 12")
    back = p > t
    if p == t:
        s.say("正好相等，不补不退。", "Both are equal: nothing to pay or refund.")
    else:
        s.line("应退" if back else "应补", "Refund" if back else "Still to pay", f"{p} − {t}" if back else f"{t} − {p}")
    return (
        [f"月薪{m}元，全年扣除{d}元，假设单一税率{r}%，单位每月已代扣{w}元。年度结算应退还是应补，多少？",
         f"全年工资按每月{m}元计，扣除{d}元后税率{r}%；每月预扣{w}元。年终结算结果如何？"],
        [f"Pay is ${m} a month, deductions are ${d} a year, an assumed single rate is {r}%, and ${w} a month was withheld. Is there a refund or a further payment, and how much?",
         f"A year's pay of ${m} a month less ${d} is taxed at {r}%; the employer withheld ${w} monthly. How does the year settle?"])


@worked("tax", "gain-and-loss", "loss-offset")
def gain_and_loss(k, s):
    g, l, r = k.pick(range(20000, 60001, 5000)), k.pick([6000, 8000, 12000, 15000]), k.pick([10, 20])
    x = s.line("净收益", "Net gain", f"{g} − {l}")
    t = s.line("允许抵减时的税", "Tax with offsetting", f"{x} × {r}%")
    u = s.line("不允许抵减时的税", "Tax without", f"{g} × {r}%")
    s.line("相差", "Difference", f"{u} − {t}")
    s.say("能否抵减因地而异，以当地规定为准。", "Whether losses may be offset differs between countries.")
    return (
        [f"一年内卖出甲股票赚{g}元，卖出乙股票亏{l}元，假设资本利得税率{r}%。盈亏可以相抵与不可相抵，税差多少？",
         f"投资盈利{g}元、亏损{l}元，税率假定为{r}%。请比较允许与不允许亏损抵减时的税额。"],
        [f"In one year share A brings a gain of ${g} and share B a loss of ${l}. At an assumed {r}% tax on gains, what difference does offsetting make?",
         f"Gains of ${g}, losses of ${l}, an assumed rate of {r}%: compare the tax with and without loss offset."])


@worked("macro", "spending-sum", "gross-domestic-product")
def spending_sum(k, s):
    c, i, g, x, m = k.pick([500, 560, 620]), k.pick([200, 240, 300]), k.pick([150, 180, 200]), k.pick([120, 160]), k.pick([100, 130, 180])
    s.say("国内生产总值 = 消费 + 投资 + 政府购买 + 出口 − 进口。", "GDP = consumption + investment + government purchases + exports − imports.")
    v = s.line("国内生产总值", "GDP", f"{c} + {i} + {g} + {x} − {m}", "yi")
    s.line("消费占比", "Share of consumption", f"{c} ÷ {v}", "percent")
    return (
        [f"某经济体消费{c}、投资{i}、政府购买{g}、出口{x}、进口{m}（单位：亿）。支出法国内生产总值和消费占比是多少？",
         f"用支出法计算：消费{c}，投资{i}，政府购买{g}，出口{x}，进口{m}。总量多少，消费占几成？"],
        [f"An economy has consumption {c}, investment {i}, government purchases {g}, exports {x} and imports {m}, all in billions. What are GDP and the share of consumption?",
         f"By expenditure: consumption {c}, investment {i}, government {g}, exports {x}, imports {m}. Find GDP and consumption's share."])


@worked("macro", "real-growth", "real-output")
def real_growth(k, s):
    a, p = k.pick([800, 1000, 1200, 1500]), k.pick([2, 3, 4])
    b = nice(f"{a} × {k.pick(['1.05', '1.06', '1.08'])}")
    n = s.line("名义增长率", "Nominal growth", f"({b} − {a}) ÷ {a}", "percent")
    r = s.line("剔除物价后的产出", "Output at last year's prices", f"{b} ÷ (1 + {p}%)", "yi")
    s.line("实际增长率", "Real growth", f"{r} ÷ {a} − 1", "percent")
    return (
        [f"名义产出从{a}亿增至{b}亿，同期物价上涨{p}%，名义增长率和实际增长率各是多少？",
         f"产出名义值由{a}变为{b}（亿），物价涨{p}%。请分步求实际增长率。"],
        [f"Nominal output rises from {a} to {b} billion while prices rise {p}%. What are nominal and real growth?",
         f"Output goes from {a} to {b} billion in money terms and prices go up {p}%. Find real growth step by step."])


@worked("macro", "reserve-lending", "reserve-requirement")
def reserve_lending(k, s):
    d, r = k.pick([500, 800, 1000, 2000]), k.pick([5, 8, 10, 12])
    low = r - k.pick([1, 2])
    a = s.line("原应缴准备金", "Reserves before", f"{d} × {r}%", "yi")
    b = s.line("下调后", "Reserves after", f"{d} × {low}%", "yi")
    s.line("释放资金", "Money released", f"{a} − {b}", "yi")
    return (
        [f"银行体系存款{d}亿，法定准备金率由{r}%降到{low}%，可以释放多少资金？",
         f"存款总额{d}亿，准备金率从{r}%调为{low}%。前后应缴准备金和释放的资金各是多少亿？"],
        [f"Banks hold deposits of {d} billion. If the reserve requirement falls from {r}% to {low}%, how much money is released?",
         f"With deposits of {d} billion and the required ratio cut from {r}% to {low}%, find reserves before and after and the sum released, in billions."])


@worked("macro", "there-and-back", "exchange-rate")
def there_and_back(k, s):
    buy, sell = k.pick([("7.05", "7.15"), ("1.2", "1.25"), ("6.4", "6.5")])
    a = nice(f"{sell} × {k.pick([400, 800, 1200, 2000])}")
    f = s.line("换得外币", "Foreign currency bought", f"{a} ÷ {sell}", "foreign")
    h = s.line("换回本币", "Changed back", f"{f} × {buy}", "home")
    s.line("买卖价差成本", "Cost of the spread", f"{a} − {h}", "home")
    return (
        [f"银行外币买入价{buy}、卖出价{sell}（每1外币的本币数）。用{a}本币换成外币又立即换回，损失多少？",
         f"牌价：银行买入{buy}，卖出{sell}。{a}单位本币来回兑换一次的成本是多少？"],
        [f"A bank buys a foreign unit at {buy} and sells it at {sell} home units. Someone changes {a} home units and at once changes back. What is lost?",
         f"Bank rates are {buy} when it buys and {sell} when it sells. What does one round trip with {a} home units cost?"])


@worked("macro", "basket-price", "consumer-price-index")
def basket_price(k, s):
    w = k.pick([(30, 25, 45), (40, 20, 40), (35, 25, 40)])
    u = k.pick([(4, 2, 1), (5, 3, 2), (6, 1, 2), (3, 4, 1)])
    v = s.line("加权涨幅", "Weighted rise", f"{w[0]}% × {u[0]}% + {w[1]}% × {u[1]}% + {w[2]}% × {u[2]}%", "percent")
    s.line("新指数", "New index", f"100 × (1 + {v}%)", "number")
    return (
        [f"消费篮子权重：食品{w[0]}%、居住{w[1]}%、其他{w[2]}%，价格分别上涨{u[0]}%、{u[1]}%、{u[2]}%。基期指数100，新指数是多少？",
         f"按权重{w[0]}%、{w[1]}%、{w[2]}%，三类价格涨{u[0]}%、{u[1]}%、{u[2]}%，总体物价涨多少？指数由100变成多少？"],
        [f"A basket weighs food {w[0]}%, housing {w[1]}%, the rest {w[2]}%; they rise {u[0]}%, {u[1]}% and {u[2]}%. From a base of 100, what is the new index?",
         f"Weights {w[0]}%, {w[1]}% and {w[2]}%; price rises {u[0]}%, {u[1]}% and {u[2]}%. By how much do prices rise overall, and what does an index of 100 become?"])


@worked("macro", "real-pay", "inflation")
def real_pay(k, s):
    a, up, i = k.pick(range(5000, 12001, 500)), k.pick([3, 4, 6]), k.pick([2, 5, 7])
    b = s.line("新工资", "New pay", f"{a} × (1 + {up}%)")
    c = s.line("按原物价计算", "At the old prices", f"{b} ÷ (1 + {i}%)")
    more = c > a
    s.line("实际增加" if more else "实际减少", "Real rise" if more else "Real fall", f"{c} − {a}" if more else f"{a} − {c}")
    return (
        [f"月工资{a}元涨了{up}%，同期物价涨{i}%，实际工资是增是减，约多少元？",
         f"工资{a}元上调{up}%，通胀率{i}%。折算成原来的物价，购买力变化多少？"],
        [f"Monthly pay of ${a} rises {up}% while prices rise {i}%. Does real pay go up or down, and by about how much?",
         f"A wage of ${a} goes up {up}%, inflation is {i}%. At the old prices, how does its buying power change?"])


@worked("macro", "balance-share", "trade-surplus")
def balance_share(k, s):
    y, x, m = k.pick([2000, 2500, 4000]), k.pick([420, 500, 640]), k.pick([380, 560, 700])
    up = x > m
    a = s.line("贸易顺差" if up else "贸易逆差", "Trade surplus" if up else "Trade deficit", f"{x} − {m}" if up else f"{m} − {x}", "yi")
    s.line("占国内生产总值", "As a share of GDP", f"{a} ÷ {y}", "percent")
    return (
        [f"出口{x}亿，进口{m}亿，国内生产总值{y}亿，贸易是顺差还是逆差，占国内生产总值多少？",
         f"一国年出口{x}亿、进口{m}亿、国内生产总值{y}亿。求贸易差额及其占比。"],
        [f"Exports are {x} billion, imports {m} billion and GDP {y} billion. Is there a surplus or a deficit, and what share of GDP is it?",
         f"A country exports {x} billion and imports {m} billion with a GDP of {y} billion. Find the trade balance and its share."])
