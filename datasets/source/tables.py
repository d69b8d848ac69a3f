"""Reading short invented tables and paragraphs: the answer is computed from figures in the text."""

from sheet import grouped, nice

READINGS = []
FIRMS = [("星禾面包", "Starcrop Bakery"), ("云帆物流", "Cloudsail Freight"), ("松木家居", "Pinehouse Living"),
         ("海石渔业", "Seastone Fisheries"), ("竹溪茶业", "Bamboo Creek Tea"), ("北斗仪器", "Plough Instruments")]


def reading(topic, name, concept=None):
    """Register a function of a `Picker` and a `Sheet` that returns ((zh text, en text), zh questions, en questions)."""

    def register(function):
        READINGS.append((topic, name, concept or name, function))
        return function

    return register


def table(head, rows):
    """The same table in both languages: a cell is a number or a pair of texts."""
    out = []
    for lang in (0, 1):
        cells = [[c[lang] if isinstance(c, tuple) else (grouped(str(c)) if lang else str(c)) for c in line] for line in [head, *rows]]
        lines = ["| " + " | ".join(line) + " |" for line in cells]
        lines.insert(1, "|" + " --- |" * len(head))
        out.append("\n".join(lines))
    return tuple(out)


@reading("accounting", "two-year-revenue", "income-statement")
def two_year_revenue(k, s):
    f = k.pick(FIRMS)
    a, up = k.pick([400, 500, 800, 1200]), k.pick([5, 8, 10, 15, 20])
    b = nice(f"{a} × (1 + {up}%)")
    c, d = nice(f"{a} × {k.pick([55, 60, 65])}%"), nice(f"{b} × {k.pick([50, 58, 62])}%")
    text = table([(f"{f[0]}（万元）", f"{f[1]} ($ thousand)"), ("上年", "last year"), ("本年", "this year")],
                 [[("营业收入", "revenue"), a, b], [("营业成本", "cost of sales"), c, d]])
    s.line("收入增长率", "Revenue growth", f"({b} − {a}) ÷ {a}", "percent")
    x = s.line("上年毛利率", "Gross margin last year", f"({a} − {c}) ÷ {a}", "percent")
    y = s.line("本年毛利率", "Gross margin this year", f"({b} − {d}) ÷ {b}", "percent")
    s.say("毛利率上升。" if y > x else ("毛利率下降。" if y < x else "毛利率不变。"), "The gross margin rose." if y > x else ("The gross margin fell." if y < x else "The gross margin did not change."))
    return text, ["根据表格，收入增长了百分之几？毛利率是升是降？", "请由表中数据计算收入增长率，并比较两年的毛利率。"], \
        ["From the table, by what percentage did revenue grow, and did the gross margin rise or fall?", "Use the table to find revenue growth and to compare the gross margins of both years."]


@reading("accounting", "small-balance-sheet", "balance-sheet")
def small_balance(k, s):
    f, cash, stock, rec = k.pick(FIRMS), k.pick([40, 60, 90]), k.pick([80, 100, 150]), k.pick([50, 70, 120])
    plant, short, long_ = k.pick([300, 400, 600]), k.pick([100, 120, 200]), k.pick([100, 150, 250])
    text = table([(f"{f[0]}（万元）", f"{f[1]} ($ thousand)"), ("年末", "year end")],
                 [[("货币资金", "cash"), cash], [("应收账款", "receivables"), rec], [("存货", "inventory"), stock], [("固定资产", "fixed assets"), plant],
                  [("流动负债", "current liabilities"), short], [("长期负债", "long-term liabilities"), long_]])
    cur = s.line("流动资产", "Current assets", f"{cash} + {rec} + {stock}", "wan")
    s.line("流动比率", "Current ratio", f"{cur} ÷ {short}", "number")
    tot = s.line("资产总额", "Total assets", f"{cur} + {plant}", "wan")
    s.line("所有者权益", "Equity", f"{tot} − {short} − {long_}", "wan")
    return text, ["由表求流动比率和所有者权益。", "这家公司的流动比率是多少？所有者权益有多少？"], \
        ["Find the current ratio and the equity from the table.", "What is this company's current ratio, and how large is its equity?"]


@reading("funds", "three-funds", "mutual-fund")
def three_funds(k, s):
    p, q, r = k.pick([(1, "1.25", 2), ("1.5", 1, "1.2"), (2, "1.6", "1.1")])
    x, y, z = nice(f"{p} × {k.pick(['1.08', '1.12'])}"), nice(f"{q} × {k.pick(['1.04', '0.92'])}"), nice(f"{r} × 1.1")
    text = table([("基金", "fund"), ("年初净值（元）", "value in January ($)"), ("年末净值（元）", "value in December ($)")],
                 [[("甲", "A"), p, x], [("乙", "B"), q, y], [("丙", "C"), r, z]])
    a = s.line("甲", "A", f"({x} − {p}) ÷ {p}", "percent")
    b = s.line("乙", "B", f"({y} − {q}) ÷ {q}", "percent")
    c = s.line("丙", "C", f"({z} − {r}) ÷ {r}", "percent")
    best = max((a, "甲", "A"), (b, "乙", "B"), (c, "丙", "C"))
    s.say(f"{best[1]}的年收益率最高。", f"Fund {best[2]} had the highest return.")
    return text, ["不考虑分红和费用，哪只基金今年收益率最高？请列出计算。", "比较三只基金的年收益率，说出最高的一只。"], \
        ["Ignoring payouts and fees, which fund did best this year? Show the work.", "Compare the three yearly returns and name the highest."]


@reading("loans", "offers-table", "refinancing")
def offers_table(k, s):
    a = k.pick([60000, 80000, 120000])
    r1, f1 = k.pick([("4.2", 1800), ("4.5", 1000), ("4.8", 500)])
    r2, f2 = k.pick([("5.4", 0), ("5.2", 300), ("5.6", 200)])
    y = k.pick([1, 2, 3])
    text = table([("方案", "offer"), ("年利率", "yearly rate"), ("一次性费用（元）", "one-off fee ($)")],
                 [[("甲", "A"), (f"{r1}%",) * 2, f1], [("乙", "B"), (f"{r2}%",) * 2, f2]])
    m = s.line("甲的总成本", "Total cost of A", f"{a} × {r1}% × {y} + {f1}")
    n = s.line("乙的总成本", "Total cost of B", f"{a} × {r2}% × {y} + {f2}")
    if m == n:
        s.say("两者相同。", "Both cost the same.")
    else:
        less = ("甲", "A") if m < n else ("乙", "B")
        s.line(f"{less[0]}便宜", f"{less[1]} is cheaper by", f"{n} − {m}" if m < n else f"{m} − {n}")
    years = "one year" if y == 1 else f"{y} years"
    return text, [f"借{a}元，每年付息、{y}年到期还本，哪个方案总成本低？", f"按表中条件借款{a}元、{y}年（到期还本，单利），应选哪家？差多少？"], \
        [f"${a} is borrowed for {years} with interest paid yearly and principal at the end. Which offer costs less?", f"For ${a} over {years}, simple interest and principal at the end, which offer is better, and by how much?"]


@reading("cards", "month-statement", "credit-utilization")
def month_statement(k, s):
    v = [k.pick(r) for r in (range(300, 901, 50), range(120, 601, 40), range(800, 2401, 100), range(60, 301, 30))]
    limit, paid = k.pick([10000, 15000, 20000]), k.pick([200, 500])
    text = table([("项目", "item"), ("金额（元）", "amount ($)")],
                 [[("超市", "groceries"), v[0]], [("交通", "transport"), v[1]], [("家电", "appliance"), v[2]], [("餐饮", "restaurants"), v[3]], [("退款", "refund"), f"−{paid}"]])
    t = s.line("本期应还", "Amount due", f"{v[0]} + {v[1]} + {v[2]} + {v[3]} − {paid}")
    s.line("额度使用率", "Utilization", f"{t} ÷ {limit}", "percent")
    return text, [f"信用卡额度{limit}元，上期无欠款。本期应还多少，额度使用率是多少？", f"这张账单一共要还多少？若总额度为{limit}元，用了百分之几？"], \
        [f"The limit is ${limit} and nothing was owed before. What is due, and what is the utilization?", f"What does this statement add up to, and what share of a ${limit} limit is used?"]


@reading("insurance", "claims-table", "deductible")
def claims_table(k, s):
    a, b, c = k.pick([(1200, 4800, 900), (3500, 600, 7200), (800, 2600, 5400), (6100, 1500, 300)])
    d = k.pick([1000, 500])
    text = table([("事故", "accident"), ("损失（元）", "loss ($)")], [[("第一次", "first"), a], [("第二次", "second"), b], [("第三次", "third"), c]])
    got = []
    for zh, en, loss in (("第一次", "First", a), ("第二次", "Second", b), ("第三次", "Third", c)):
        if loss > d:
            got.append(s.line(zh, en, f"{loss} − {d}"))
        else:
            s.say(f"{zh}损失{loss}元，不超过免赔额，不赔。", f"{en}: a loss of ${loss} is within the deductible, so nothing is paid.")
    if len(got) > 1:
        s.line("合计赔付", "Paid in all", " + ".join(map(str, got)))
    return text, [f"每次事故免赔额{d}元，超出部分全赔，三次一共赔多少？", f"保单按次扣{d}元免赔额，请逐次计算赔款并求合计。"], \
        [f"Each accident bears a deductible of ${d}; the rest is paid in full. What is paid in all?", f"The policy takes ${d} off each loss. Work out each payout and the total."]


@reading("macro", "region-table", "unemployment-rate")
def region_table(k, s):
    a, b = k.pick([(38, 2), (57, 3), (46, 4), (92, 8)])
    c, d = k.pick([(76, 4), (47, 3), (88, 12), (114, 6)])
    text = table([("地区", "region"), ("就业（万人）", "employed (ten thousands)"), ("求职者（万人）", "seeking work (ten thousands)")],
                 [[("东部", "east"), a, b], [("西部", "west"), c, d]])
    x = s.line("东部失业率", "Unemployment, east", f"{b} ÷ ({a} + {b})", "percent")
    y = s.line("西部失业率", "Unemployment, west", f"{d} ÷ ({c} + {d})", "percent")
    if x == y:
        s.say("两地相同。", "Both are equal.")
    else:
        s.say(f"{'东部' if x > y else '西部'}较高。", f"It is higher in the {'east' if x > y else 'west'}.")
    return text, ["哪个地区的失业率更高？请计算。", "根据表格计算两地失业率并比较。"], \
        ["Which region has the higher unemployment rate? Show the figures.", "Compute and compare both unemployment rates from the table."]


@reading("wealth", "budget-table", "budget")
def budget_table(k, s):
    inc = k.pick([9000, 12000, 15000])
    v = [k.pick(r) for r in ([2500, 3000, 3500], [1200, 1600, 1800], [400, 600], [500, 900, 1100])]
    text = table([("支出", "expense"), ("每月（元）", "a month ($)")],
                 [[("房租", "rent"), v[0]], [("伙食", "food"), v[1]], [("通勤", "commuting"), v[2]], [("娱乐", "leisure"), v[3]]])
    t = s.line("总支出", "Total spending", " + ".join(map(str, v)))
    r = s.line("结余", "Left over", f"{inc} − {t}")
    s.line("储蓄率", "Saving rate", f"{r} ÷ {inc}", "percent")
    s.line("房租占收入", "Rent as a share of income", f"{v[0]} ÷ {inc}", "percent")
    return text, [f"月收入{inc}元，每月结余多少？储蓄率和房租占比各是多少？", f"按表中支出，收入{inc}元的人储蓄率是多少，房租占收入几成？"], \
        [f"Income is ${inc} a month. What is left, and what are the saving rate and the share of rent?", f"With these expenses and ${inc} a month, find the saving rate and the rent's share of income."]


@reading("stocks", "trade-log", "trading-cost")
def trade_log(k, s):
    n, p, q = k.pick([300, 400, 600]), k.pick([10, 12, 18]), k.pick([14, 15, 20])
    m, r = k.pick([100, 200]), k.pick([16, 21, 11])
    text = table([("操作", "trade"), ("股数", "shares"), ("价格（元）", "price ($)")],
                 [[("买入", "buy"), n, p], [("买入", "buy"), n, q], [("卖出", "sell"), m, r]])
    c = s.line("平均成本", "Average cost", f"({n} × {p} + {n} × {q}) ÷ ({n} + {n})")
    up = r >= c
    s.line("已实现盈利" if up else "已实现亏损", "Realised gain" if up else "Realised loss", f"{m} × ({r} − {c})" if up else f"{m} × ({c} − {r})")
    s.line("剩余股数", "Shares left", f"{n} + {n} − {m}", "share")
    return text, ["按平均成本法、不计费用，卖出部分盈亏多少，还剩多少股？", "由交易记录求持仓均价、已实现盈亏和剩余股数（不计费用）。"], \
        ["By average cost and without fees, what did the sale gain or lose, and how many shares are left?", "From this log find the average cost, the realised result and the shares left, ignoring fees."]


@reading("bonds", "bond-list", "current-yield")
def bond_list(k, s):
    a, x = k.pick([(3, 96), (4, 98), (5, 104)])
    b, y = k.pick([(4, 105), (6, 108), (2, 90)])
    text = table([("债券", "bond"), ("票面利率", "coupon"), ("价格（元，面值100）", "price ($, face 100)")],
                 [[("甲", "A"), (f"{a}%",) * 2, x], [("乙", "B"), (f"{b}%",) * 2, y]])
    m = s.line("甲的当期收益率", "Current yield of A", f"{a} ÷ {x}", "percent")
    n = s.line("乙的当期收益率", "Current yield of B", f"{b} ÷ {y}", "percent")
    s.say(f"{'甲' if m > n else '乙'}较高，但没有计入到期时价格回到面值的得失。", f"{'A' if m > n else 'B'} is higher, though the return of price to face value at maturity is left out.")
    return text, ["只看当期收益率，哪只债券更高？这样比较漏了什么？", "计算两只债券的当期收益率，并指出这个指标的不足。"], \
        ["By current yield alone, which bond is higher, and what does the comparison miss?", "Find both current yields and name a weakness of this measure."]


@reading("tax", "receipt-paragraph", "value-added-tax")
def receipt_paragraph(k, s):
    (z, e), a, b, r = k.pick(FIRMS), k.pick(range(600, 3001, 200)), k.pick(range(200, 901, 100)), k.pick([5, 10, 20])
    text = (f"{z}本月不含税销售额为{a}万元，其中{b}万元出口，假设适用零税率；国内销售适用{r}%的税率。公司员工人数没有变化。",
            f"{e} sold goods worth ${a} thousand before tax this month. Of that, ${b} thousand was exported, assumed to be zero-rated; home sales bear {r}%. The number of staff did not change.")
    if b >= a:
        b = a // 2
        return receipt_paragraph(k, type(s)())
    h = s.line("国内销售额", "Home sales", f"{a} − {b}", "wan")
    s.line("销项税额", "Output tax", f"{h} × {r}%", "wan")
    return text, ["本月销项税额是多少？", "根据短文求国内销售额和销项税额。"], ["What is the output tax of the month?", "Find home sales and output tax from the passage."]


@reading("pension", "worker-paragraph", "replacement-rate")
def worker_paragraph(k, s):
    pay, p, w, y = k.pick([8000, 10000, 12000]), k.pick([3600, 4500, 5000]), k.pick([400, 600, 900]), k.pick([22, 28, 31])
    text = (f"一位工程师工作了{y}年，退休前月薪{pay}元。现在每月领基本养老金{p}元、企业年金{w}元，另有一套自住房，没有租金收入。",
            f"An engineer worked {y} years and last earned ${pay} a month. The state pension is ${p} and the company pension ${w} a month; the home is lived in and brings no rent.")
    t = s.line("养老收入", "Pension income", f"{p} + {w}")
    s.line("替代率", "Replacement rate", f"{t} ÷ {pay}", "percent")
    s.line("每月减少", "Less a month by", f"{pay} − {t}")
    return text, ["两项养老金合计的替代率是多少？每月收入比在职时少多少？", "由短文计算总替代率和收入减少额。"], \
        ["What replacement rate do both pensions give together, and how much lower is monthly income?", "From the passage, compute the total replacement rate and the drop in income."]


@reading("savings", "saver-paragraph", "time-deposit")
def saver_paragraph(k, s):
    a, b, r, q = k.pick([20000, 30000, 40000]), k.pick([10000, 15000]), k.pick(["1.8", "2.1", "2.4"]), k.pick(["0.2", "0.3"])
    text = (f"老张把{a}元存了一年定期，年利率{r}%；另外{b}元放在活期，年利率{q}%。邻居向他推荐过一款理财，他没有买。一年间两笔钱都没有动。",
            f"Old Mr Zane put ${a} into a one-year deposit at {r}% and kept ${b} on demand at {q}%. A neighbour suggested a wealth product, which he did not buy. Neither sum was touched for a year.")
    x = s.line("定期利息", "Term interest", f"{a} × {r}%")
    y = s.line("活期利息", "Demand interest", f"{b} × {q}%")
    t = s.line("利息合计", "Interest together", f"{x} + {y}")
    s.line("整体收益率", "Overall rate", f"{t} ÷ ({a} + {b})", "percent")
    return text, ["一年后两笔钱共得多少利息？整体收益率是多少？", "根据短文计算利息总额以及全部存款的平均收益率。"], \
        ["How much interest do both sums earn, and what is the overall rate?", "From the passage, find total interest and the average rate on all the money."]


@reading("risk", "year-returns", "volatility")
def year_returns(k, s):
    a = k.pick([(12, -4, 10), (8, 2, 5), (20, -10, 8), (15, -6, 9)])
    b = k.pick([(4, 3, 5), (6, 5, 4), (3, 2, 4)])
    sign = [str(x).replace("-", "−") for x in a]
    text = table([("年份", "year"), ("甲收益率（%）", "return of A (%)"), ("乙收益率（%）", "return of B (%)")],
                 [[("第一年", "first"), sign[0], b[0]], [("第二年", "second"), sign[1], b[1]], [("第三年", "third"), sign[2], b[2]]])
    mid = f"− {-a[1]}" if a[1] < 0 else f"+ {a[1]}"
    m = s.line("甲平均", "Average of A", f"({a[0]} {mid} + {a[2]}) ÷ 3", "number")
    n = s.line("乙平均", "Average of B", f"({b[0]} + {b[1]} + {b[2]}) ÷ 3", "number")
    s.line("甲的最大差距", "Range of A", f"{max(a)} − {min(a)}" if min(a) >= 0 else f"{max(a)} + {-min(a)}", "point")
    s.line("乙的最大差距", "Range of B", f"{max(b)} − {min(b)}", "point")
    s.say(f"{'甲' if m > n else '乙'}平均较高，甲的起伏明显更大。" if m != n else "两者平均相同，甲的起伏更大。",
          f"{'A' if m > n else 'B'} has the higher average; A swings much more." if m != n else "Averages are equal; A swings more.")
    return text, ["比较两个产品三年的平均收益率和波动幅度。", "哪个产品平均收益更高？哪个起伏更大？请计算。"], \
        ["Compare the average returns of both products over three years and how far they swing.", "Which product has the higher average return, and which swings more? Show the work."]


@reading("macro", "rate-board", "exchange-rate")
def rate_board(k, s):
    buy, sell = k.pick([("7.08", "7.16"), ("7.81", "7.95"), ("1.18", "1.24"), ("5.02", "5.12")])
    a, b = k.pick([500, 1200, 2000]), k.pick([300, 400])
    text = table([("银行牌价（每1外币）", "bank's board (per foreign unit)"), ("本币", "home units")], [[("银行买入价", "bank buys"), buy], [("银行卖出价", "bank sells"), sell]])
    s.line("买入外币支付", "Paid for the purchase", f"{a} × {sell}", "home")
    s.line("卖出外币得到", "Received for the sale", f"{b} × {buy}", "home")
    return text, [f"客户买{a}外币要付多少本币？另一位客户卖{b}外币能得多少？", f"按牌价，购汇{a}外币和结汇{b}外币分别对应多少本币？"], \
        [f"What does a customer pay for {a} foreign units, and what does another receive for selling {b}?", f"By the board, how many home units go with buying {a} and with selling {b} foreign units?"]
